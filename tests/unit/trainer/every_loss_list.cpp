// tests/docs/check_every_loss.py compares the list with the headers.

#include "every_loss.hpp"

#include <algorithm>
#include <cmath>
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
          std::is_same_v<typename Loss::limbeck_loss, lk::batchwise> && !lk::detail::is_by_row<Loss>};
}
/// One of a kind of which others stand beside cross-entropy: that is half of what it costs to compile.
template <class Loss>
loss alone(const char* name, Loss l) {
  const auto run = [l](call& x) { return run_loss<true>(l, x); };
  return {name, run, run, std::is_same_v<typename Loss::limbeck_loss, lk::batchwise> && !lk::detail::is_by_row<Loss>};
}

/// What a loss learns or remembers is new in each call.
template <bool Alone>
double with_line(call& x) {
  lk::match_line<double> line(0.1, 1);
  return run_loss<Alone>(lk::pair_logistic(line), x);
}
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
template <bool Alone>
double with_margins(call& x) {
  const std::vector<double> scale(width, 1), shift(width, 0.5);
  const lk::channel_margins margins(scale, shift);
  return run_loss<Alone>(lk::overhaul(margins), x);
}
/// The teacher is half as wide: its columns by two.
template <bool Alone>
double with_half_teacher(call& x) {
  const std::vector<double> whole = x.teacher;
  std::vector<double> half(whole.size() / 2);
  for (std::size_t i = 0; i < half.size(); ++i) half[i] = whole[2 * i] + whole[2 * i + 1];
  const auto with = [&](const auto& o) {
    return o(x.s(), lk::rows<const double>(half.data(), x.samples(), width / 2), x.labels, lk::unread_is_fine, lk::row_mask(x.mask),
             lk::row_weights(x.weights), x.reduce, lk::into(lk::rows<double>(x.gradient.data(), x.samples(), width)))
        .loss;
  };
  if constexpr (Alone) {
    return with(lk::objective{lk::pad_l2{}});
  } else {
    return with(lk::cross_entropy{} + 0.5 * lk::pad_l2{});
  }
}
/// Every row counts: those that do not are taken out before.
template <bool Alone>
double with_whole_groups(call& x) {
  std::vector<std::size_t> out;
  for (std::size_t r = 0; r < x.samples(); ++r)
    if (x.labels[r] == -100 || x.mask[r] == 0 || x.weights[r] == 0) out.push_back(r);
  call rest = x.without(out);
  const double value = run_loss<Alone>(lk::sskd{.views = 3}, rest);
  for (std::size_t r = 0, i = 0; r < x.samples(); ++r) {
    const bool counts = std::find(out.begin(), out.end(), r) == out.end();
    for (std::size_t c = 0; c < width; ++c) x.gradient[r * width + c] = counts ? rest.gradient[i * width + c] : 0;
    i += counts;
  }
  return value;
}
/// One span, but for rows that are missing and where parts of a batch end.
template <bool Alone>
double with_spans(call& x) {
  std::vector<int> spans(x.samples(), 0);
  for (std::size_t r = 1; r < x.samples(); ++r) spans[r] = spans[r - 1] + (r % 7 == 0 || x.ids[r] != (x.ids[r - 1] + 1) % 16);
  return run_loss<Alone>(lk::span_consistency(spans), x);
}
/// Parameters of distributions are positive.
double with_parameters(call& x) {
  for (auto* side : {&x.student, &x.teacher})
    for (double& v : *side) v = std::exp(v);
  return run_loss<true>(lk::beta_kl{}, x);
}
double with_weights(call& x) {
  std::vector<double> w(x.student.size());
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = 0.5 + static_cast<double>(i % width);
  const lk::rows<const double> weights(w.data(), x.samples(), width);
  return run_loss<true>(lk::element_weights(weights, lk::mse{}), x);
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
      alone("adaptive_kl", lk::adaptive_kl{}),
      beside("alpha_beta", lk::alpha_beta{}),
      beside("mse", lk::mse{}),
      alone("bce_with_logits", lk::bce_with_logits{.positive_weight = 2}),
      alone("squared_probabilities", lk::squared_probabilities{}),
      alone("student_entropy", lk::student_entropy{}),
      alone("reverse_cross_entropy", lk::reverse_cross_entropy{}),
      beside("bernoulli", lk::bernoulli{lk::forward_kl{}}),
      beside("target_kl", lk::target_kl{}),
      alone("target_reverse_kl", lk::target_reverse_kl{}),
      beside("target_cross_entropy", lk::target_cross_entropy{}),
      beside("dkd", lk::dkd{}),
      beside("nkd", lk::nkd{}),
      beside("ofa", lk::ofa{}),
      beside("margin_mse", lk::margin_mse{}),
      beside("label_pairs", lk::label_pairs{}),
      beside("pld", lk::pld{}),
      beside("uld", lk::uld{}),
      beside("bild", lk::bild{.k = 4}),
      alone("reranked", lk::reranked{.k = 4}),
      sparse("sparse_divergence", lk::reverse_kl{}),
      sparse("sparse_kl", lk::forward_kl{}),
      beside("linear_cka", lk::linear_cka{}),
      beside("info_nce", lk::info_nce{}),
      beside("symmetric_info_nce", lk::symmetric_info_nce{}),
      beside("over_pairs", lk::info_nce{}.over(lk::other_classes{})),
      beside("nt_xent", lk::nt_xent{}),
      beside("supervised_contrast", lk::supervised_contrast{}),
      beside("margin_cosine", lk::margin_cosine{.margin = 0}),
      beside("cosine_embedding", lk::cosine_embedding{}),
      beside("cross_correlation", lk::cross_correlation{}),
      beside("self_correlation", lk::self_correlation{}),
      beside("neighbour_kl", lk::neighbour_kl{.k = 3}),
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
      alone("l1", lk::l1{}),
      alone("smooth_l1", lk::smooth_l1{.beta = 0.5}),
      alone("barron", lk::barron{.alpha = 0.5}),
      alone("cosine_loss", lk::cosine_loss{}),
      alone("row_distance", lk::row_distance{}),
      alone("pseudo_huber", lk::pseudo_huber{.scale = 0.5}),
      alone("specified_gradient", lk::specified_gradient{}),
      alone("critic_hinge", lk::critic_hinge{lk::critic_role::fake}),
      alone("critic_logistic", lk::critic_logistic{.role = lk::critic_role::real, .smoothing = 0.1}),
      alone("critic_least_squares", lk::critic_least_squares{}),
      alone("critic_wasserstein", lk::critic_wasserstein{}),
      alone("gradient_penalty", lk::gradient_penalty{1}),
      {"beta_kl", with_parameters, with_parameters, false},
      {"element_weights", with_weights, with_weights, false},
      alone("bits", lk::bits{.least = 0.01}),
      beside("flops", lk::flops{}),
      beside("ickd", lk::ickd{.channels = 4}),
      beside("nearest_layers", lk::nearest_layers{.layers = 1, .k = 1}),
      beside("sinkhorn", lk::sinkhorn{}),
      beside("fsp", lk::fsp{.first_channels = 2, .second_channels = 2}),
      beside("factor_transfer", lk::factor_transfer{}),
      beside("activation_boundaries", lk::activation_boundaries{}),
      beside("channel_affinity", lk::channel_affinity{.channels = 2}),
      beside("position_similarity", lk::position_similarity{.student_channels = 2, .teacher_channels = 2}),
      beside("log_sum", lk::log_sum{}),
      beside("kdsvd", lk::kdsvd{.first_channels = 2, .second_channels = 2, .student_positions = 2, .teacher_positions = 2}),
      {"overhaul", with_margins<false>, with_margins<true>, false},
      {"pad_l2", with_half_teacher<false>, with_half_teacher<true>, false},
      {"span_consistency", with_spans<false>, with_spans<true>, false},
      {"sskd", with_whole_groups<false>, with_whole_groups<true>, true},
      alone("through", lk::through(lk::unit_rows{}, lk::mse{} + 0.5 * lk::at_temperature(2.0, lk::forward_kl{}))),
      beside("by_channel", lk::by_channel(2, lk::at_temperature(4.0, lk::forward_kl{}))),
      {"projected", with_projection<false>, with_projection<true>, false},
      {"vid", with_variances<false>, with_variances<true>, true},
      {"pair_logistic", with_line<false>, with_line<true>, true},
      {"crd", with_bank<false>, with_bank<true>, true},
  };
  return all;
}

}  // namespace every
