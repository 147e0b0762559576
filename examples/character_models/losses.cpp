#include "losses.hpp"

#include <limbeck/eigen.hpp>
#include <limbeck/logits.hpp>

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

any_loss atkd() {
  const auto doubt = 1 - lk::of_teacher(lk::label_probability{});
  const auto hard = doubt >= lk::median_of(doubt);
  return by(0.2 * ((!hard / lk::share_of(!hard)) * lk::on<lk::non_target>(lk::forward_kl{})) +
            0.8 * ((hard / lk::share_of(hard)) * lk::dkd{.alpha = 1, .beta = 1}));
}

any_loss adakd_temperatures() {  // exp(-c tanh(log(d / median))) with c = 0.5, in squares of the distances d
  const auto apart = lk::divergence_of(lk::squared_hellinger{});
  const auto middle = lk::median_of(apart);
  return by(lk::at_temperature(lk::exp(-0.5 * (apart - middle) / (apart + middle)), lk::reverse_kl{}));
}

}  // namespace character_models
