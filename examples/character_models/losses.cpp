#include "losses.hpp"

#include <limbeck/eigen.hpp>
#include <limbeck/logits.hpp>
#include <limbeck/temperature/inverse_difficulty.hpp>

#include <utility>

namespace character_models {
namespace {
template <class Loss>
any_loss by(Loss loss) {
  return [objective = lk::objective{std::move(loss)}](auto&&... all) { return objective(all..., lk::unread_is_fine).loss; };
}
}  // namespace

any_loss cross_entropy() { return by(lk::cross_entropy{}); }
any_loss cross_entropy_and_forward_kl() { return by(0.5 * lk::cross_entropy{} + 0.5 * lk::forward_kl{}); }
any_loss forward_kl() { return by(lk::forward_kl{}); }
any_loss reverse_kl() { return by(lk::reverse_kl{}); }
any_loss jensen_shannon() { return by(lk::jensen_shannon{.beta = 0.5}); }
any_loss skew_kl() { return by(lk::skew_kl{.alpha = 0.1}); }
any_loss skew_reverse_kl() { return by(lk::skew_reverse_kl{.alpha = 0.1}); }

any_loss atkd() { return by(lk::atkd()); }
any_loss adakd_temperatures() { return by(lk::at_temperature(lk::inverse_difficulty_temperature(), lk::reverse_kl{})); }

}  // namespace character_models
