#include "make_specimen.hpp"

using namespace limbeck_test;

namespace {

/// The mean over columns of phi(s/T - t/T), which returns a value and a slope.
template <class Phi>
reference_loss mean_of(Phi phi) {
  return [phi](const row_input& row) {
    reference_row out;
    const auto n = static_cast<real>(row.classes());
    for (std::size_t i = 0; i < row.classes(); ++i) {
      const reference_term x = phi((row.student[i] - row.teacher[i]) / row.student_t);
      out.value += x.value / n;
      out.gradient.push_back(x.flow / n / row.student_t);
    }
    return out;
  };
}
real sign(real d) { return d > 0 ? 1 : d < 0 ? -1 : 0; }

reference_loss ref_smooth_l1(real beta) {
  return mean_of([=](real d) -> reference_term {
    const real size = std::fabs(d);
    if (size < beta) return {d * d / (2 * beta), d / beta};
    return {size - beta / 2, sign(d)};
  });
}
reference_loss ref_barron(real alpha, real scale) {
  return mean_of([=](real d) -> reference_term {
    const real u = d / scale, y = u * u, slope = u / scale, b = 2 - alpha;
    if (b == 0) return {y / 2, slope};
    if (b == real_infinity) return {-std::expm1(-y / 2), slope * std::exp(-y / 2)};
    const real l = std::log1p(y / b);
    return {alpha == 0 ? l : b / alpha * std::expm1(alpha / 2 * l), slope * std::exp((alpha / 2 - 1) * l)};
  });
}

real length(const std::vector<real>& x) {
  real sum = 0;
  for (const real v : x) sum += v * v;
  return std::sqrt(sum);
}
reference_loss ref_cosine_loss() {
  return [](const row_input& row) {
    reference_row out;
    const std::size_t n = row.classes();
    const real s = length(row.student), t = length(row.teacher);
    out.gradient.assign(n, 0);
    out.value = 1;
    if (s == 0 || t == 0) return out;
    std::vector<real> apart;
    for (std::size_t i = 0; i < n; ++i) apart.push_back(row.student[i] / s - row.teacher[i] / t);
    out.value = length(apart) * length(apart) / 2;
    for (std::size_t i = 0; i < n; ++i) out.gradient[i] = (apart[i] - out.value * row.student[i] / s) / s;
    return out;
  };
}
reference_loss ref_row_distance() {
  return [](const row_input& row) {
    reference_row out;
    std::vector<real> apart;
    for (std::size_t i = 0; i < row.classes(); ++i) apart.push_back((row.student[i] - row.teacher[i]) / row.student_t);
    out.value = length(apart);
    for (const real d : apart) out.gradient.push_back(out.value == 0 ? 0 : d / out.value / row.student_t);
    return out;
  };
}

reference_loss ref_pseudo_huber(real c) {
  return [=](const row_input& row) {
    reference_row out;
    std::vector<real> apart;
    for (std::size_t i = 0; i < row.classes(); ++i) apart.push_back((row.student[i] - row.teacher[i]) / row.student_t);
    const real far = length(apart), root = std::hypot(far, c);
    out.value = far * far / (root + c);
    for (const real d : apart) out.gradient.push_back(d / root / row.student_t);
    return out;
  };
}

template <class X>
X sigmoid(X x) {
  return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
}
/// The answers are the sigmoids of minus the specimen's teacher: close to its student they leave the gradient no digits.
reference_loss ref_bce(real positive_weight) {
  return [=](const row_input& row) {
    reference_row out;
    const auto n = static_cast<real>(row.classes());
    for (std::size_t i = 0; i < row.classes(); ++i) {
      const real u = row.student[i] / row.student_t, yes = positive_weight * sigmoid(-row.teacher[i]), no = sigmoid(row.teacher[i]);
      const real soft = std::log1p(std::exp(-std::fabs(u)));
      out.value += (yes * (soft + std::max<real>(-u, 0)) + no * (soft + std::max<real>(u, 0))) / n;
      out.gradient.push_back((no * sigmoid(u) - yes * sigmoid(-u)) / n / row.student_t);
    }
    return out;
  };
}
specimen bce_specimen(double positive_weight) {
  const auto run = [=]<class T>(batch<T> b, double t) {
    for (T& y : b.teacher) y = sigmoid(-y);
    limbeck::workspace ws;
    return run_objective(limbeck::objective{limbeck::at_temperature(
                             t, 1.0, limbeck::unscaled(limbeck::bce_with_logits{.positive_weight = positive_weight}))},
                         b, ws);
  };
  specimen s{"bce_with_logits", {positive_weight}, false, false, run, run, ref_bce(static_cast<real>(positive_weight)), true, true, false};
  s.of_features = true;
  return s;
}

reference_loss ref_squared_probabilities() {
  return [sum = over_classes(ref_squared_probability())](const row_input& row) {
    reference_row out = sum(row);
    const auto n = static_cast<real>(row.classes());
    out.value /= n;
    for (real& g : out.gradient) g /= n;
    return out;
  };
}

}  // namespace

std::vector<specimen> limbeck_test::regression_specimens() {
  const auto features = [](std::string name, std::vector<double> parameters, auto loss, reference_loss reference) {
    return make_specimen(std::move(name), std::move(parameters), true, loss, std::move(reference), true, true, false);
  };
  const double outliers = -std::numeric_limits<double>::infinity();
  std::vector<specimen> list{
      features("l1", {}, limbeck::l1{}, ref_smooth_l1(0)),
      features("row_distance", {}, limbeck::row_distance{}, ref_row_distance()),
      features("cosine_loss", {}, limbeck::cosine_loss{}, ref_cosine_loss()),
      features("pseudo_huber", {0.3}, limbeck::pseudo_huber{.scale = 0.3}, ref_pseudo_huber(0.3L)),
      bce_specimen(1),
      bce_specimen(3),
      make_specimen("student_entropy", {}, false, limbeck::student_entropy{}, over_classes(ref_student_entropy()), false, false, false),
      make_specimen("squared_probabilities", {}, true, limbeck::squared_probabilities{}, ref_squared_probabilities(), false, false, false)};
  for (const double beta : {1.0, 0.3, 0.0})
    list.push_back(features("smooth_l1", {beta}, limbeck::smooth_l1{.beta = beta}, ref_smooth_l1(static_cast<real>(beta))));
  for (const double alpha : {2.0, 1.9999, 1.0, 1e-7, 0.0, -0.01, -2.0, -300.0, outliers})
    list.push_back(features("barron", {alpha, 0.7}, limbeck::barron{.alpha = alpha, .scale = 0.7},
                            ref_barron(static_cast<real>(alpha), static_cast<real>(0.7))));
  return list;
}
