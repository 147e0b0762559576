// tests/docs/check_every_loss.py compares the list with the headers.

#include "every_loss.hpp"

#include <type_traits>

namespace every {
namespace {

/// Beside cross-entropy, or alone.
template <bool Alone, class Loss>
double run_loss(const Loss& l, call& x) {
  if constexpr (Alone) {
    return run(lk::objective{l}, x);
  } else {
    return run(lk::cross_entropy{} + 0.5 * l, x);
  }
}
template <class Loss>
loss beside(const char* name, Loss l) {
  return {name, [l](call& x) { return run_loss<false>(l, x); }, [l](call& x) { return run_loss<true>(l, x); },
          std::is_same_v<typename Loss::limbeck_loss, lk::batchwise>};
}

/// What a loss learns or remembers is new in each call.
template <bool Alone>
double with_bank(call& x) {
  lk::crd_bank<double> bank(16, 3, {.negatives = 4, .temperature = 1, .seed = 3});
  lk::projection<double> s(width, 3, lk::xavier{.seed = 1}), t(width, 3, lk::xavier{.seed = 2});
  return run_loss<Alone>(lk::crd(bank, x.ids, s, t), x);
}
template <bool Alone>
double with_projection(call& x) {
  lk::projection<double> p(width, width, lk::xavier{.seed = 1});
  return run_loss<Alone>(lk::projected(p, lk::hint{}), x);
}
template <bool Alone>
double with_variances(call& x) {
  lk::channel_variances<double> v(width);
  return run_loss<Alone>(lk::vid(v), x);
}
template <class Divergence>
loss sparse(const char* name, Divergence divergence) {
  const auto with = [divergence]<bool Alone>(call& x) {
    const auto store = lk::keep_top(lk::rows<const double>(x.kept.data(), x.samples(), width), 3);
    return run_loss<Alone>(lk::sparse_divergence(divergence, store), x);
  };
  return {name, [with](call& x) { return with.template operator()<false>(x); },
          [with](call& x) { return with.template operator()<true>(x); }, false};
}

}  // namespace

const std::vector<loss>& every_loss() {
  static const std::vector<loss> all{
      beside("cross_entropy", lk::cross_entropy{.smoothing = 0.1}),
      beside("soft_cross_entropy", lk::soft_cross_entropy{}),
      beside("forward_kl", lk::forward_kl{}),
      beside("reverse_kl", lk::reverse_kl{}),
      beside("jensen_shannon", lk::jensen_shannon{.beta = 0.3}),
      beside("skew_kl", lk::skew_kl{}),
      beside("skew_reverse_kl", lk::skew_reverse_kl{}),
      beside("total_variation", lk::total_variation{}),
      beside("squared_hellinger", lk::squared_hellinger{}),
      beside("alpha_divergence", lk::alpha_divergence{.alpha = 0.4}),
      beside("mse", lk::mse{}),
      beside("bernoulli", lk::bernoulli{lk::forward_kl{}}),
      beside("target_kl", lk::target_kl{}),
      beside("target_cross_entropy", lk::target_cross_entropy{}),
      beside("dkd", lk::dkd{}),
      beside("nkd", lk::nkd{}),
      beside("margin_mse", lk::margin_mse{}),
      beside("label_pairs", lk::label_pairs{}),
      beside("pld", lk::pld{}),
      beside("uld", lk::uld{}),
      sparse("sparse_divergence", lk::reverse_kl{}),
      sparse("sparse_kl", lk::forward_kl{}),
      beside("linear_cka", lk::linear_cka{}),
      beside("info_nce", lk::info_nce{}),
      beside("symmetric_info_nce", lk::symmetric_info_nce{}),
      beside("correlation_congruence", lk::correlation_congruence{}),
      beside("marginal_distance_matrix", lk::marginal_distance_matrix{}),
      beside("dist", lk::dist{}),
      beside("nst", lk::nst{.positions = 4}),
      beside("pkt", lk::pkt{}),
      beside("rkd_distance", lk::rkd_distance{}),
      beside("rkd_angle", lk::rkd_angle{}),
      beside("similarity_preserving", lk::similarity_preserving{}),
      beside("activation_matching", lk::activation_matching{}),
      beside("attention_transfer", lk::attention_transfer{}),
      beside("hard_quantile", lk::hard_quantile{.p_hard = 0.5}),
      beside("out_of_domain_penalty", lk::out_of_domain_penalty{}),
      beside("hint", lk::hint{}),
      beside("feature_mse", lk::feature_mse{}),
      beside("ickd", lk::ickd{.channels = 4}),
      beside("sinkhorn", lk::sinkhorn{}),
      {"projected", with_projection<false>, with_projection<true>, true},
      {"vid", with_variances<false>, with_variances<true>, true},
      {"crd", with_bank<false>, with_bank<true>, true},
  };
  return all;
}

}  // namespace every
