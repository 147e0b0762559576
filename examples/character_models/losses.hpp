#ifndef LIMBECK_EXAMPLES_CHARACTER_MODELS_LOSSES_HPP
#define LIMBECK_EXAMPLES_CHARACTER_MODELS_LOSSES_HPP

// The losses that are compared, each compiled once.

#include "training.hpp"

namespace character_models {

any_loss cross_entropy();
any_loss cross_entropy_and_forward_kl();
any_loss forward_kl();
any_loss reverse_kl();
any_loss jensen_shannon();
any_loss skew_kl();
any_loss skew_reverse_kl();
/// ATKD (Zhong et al., 2024, arXiv:2402.11890): of the characters whose label the teacher doubts less than the median, only what
/// it says of the others; of the rest both parts of the forward KL.
any_loss atkd();
/// The temperatures of AdaKD (Xie et al., 2025, arXiv:2510.11615), lower where student and teacher are further apart than the
/// median; all characters are kept.
any_loss adakd_temperatures();

}  // namespace character_models

#endif
