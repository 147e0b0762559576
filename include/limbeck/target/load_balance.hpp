#ifndef LIMBECK_TARGET_LOAD_BALANCE_HPP
#define LIMBECK_TARGET_LOAD_BALANCE_HPP

/// @file
/// What keeps a gate from sending every row to the same teacher.

#include <limbeck/target/row_functions.hpp>

#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// How `load_balance` measures the imbalance.
enum class balance {
  kl,        ///< (1/M) sum_m (1/M) (log(1/M) - log gbar_m), gbar the mean of the gate's softmax over the batch
  variation  ///< std / mean of the M sums of the gate's softmax over the batch, std with M - 1
};

/// The load-balance loss of a gate over M teachers: 0 where all are used the same, for both measures.
///
/// @param gate logits, samples x teachers
/// @param gradient tensor of the same shape: d loss / d gate is *added* to it
/// @param measure of the imbalance
/// @return the loss; 0 for an empty batch, and for one teacher
/// As the code of MST-Distill has it (GitHub: Gray-OREO/MST-Distill), whose KL is divided by M a second time, by what
/// PyTorch's "batchmean" does to a vector. At variation 0 the gradient is taken as 0.
/// @throws shape_error where shapes differ, value_error where a row of the gate has no softmax.
template <tensor G, class D>
double load_balance(const G& gate, D&& gradient, balance measure = balance::kl) {
  detail::require_host<G, D>();
  using T = typename tensor_traits<G>::scalar;
  const rows<const T> x = tensor_traits<G>::view(gate);
  const rows<T> g = tensor_traits<std::remove_cvref_t<D>>::view(gradient);
  if (g.samples != x.samples || g.classes != x.classes)
    detail::throw_shape("gradient", g.samples, g.classes, x.samples, x.classes);
  const std::size_t samples = x.samples, teachers = x.classes;
  if (samples == 0 || teachers < 2) return 0;
  const double m = static_cast<double>(teachers), b = static_cast<double>(samples);
  std::vector<double> p(samples * teachers), average(teachers, 0.0), slope(teachers);
  for (std::size_t r = 0; r < samples; ++r) {
    double* const row = p.data() + r * teachers;
    for (std::size_t k = 0; k < teachers; ++k) row[k] = static_cast<double>(x(r, k));
    const auto s = detail::exponentials_of(row, teachers, 1.0, row);
    if (!s.proper())
      raise<value_error>("limbeck: gate row " + std::to_string(r) +
                         " has no softmax: it holds a NaN or +inf, or is all -inf");
    for (std::size_t k = 0; k < teachers; ++k) average[k] += (row[k] /= s.sum) / b;
  }
  double value = 0;
  if (measure == balance::kl) {
    for (std::size_t k = 0; k < teachers; ++k) {
      value -= std::log(m * average[k]) / (m * m);
      slope[k] = -1 / (m * m * average[k]);
    }
  } else {
    double square = 0;
    for (const double x_k : average) square += (x_k - 1 / m) * (x_k - 1 / m);
    value = m * std::sqrt(square / (m - 1));
    for (std::size_t k = 0; k < teachers; ++k)
      slope[k] = value > 0 ? m * m * (average[k] - 1 / m) / ((m - 1) * value) : 0;
  }
  for (std::size_t r = 0; r < samples; ++r) {
    const double* const row = p.data() + r * teachers;
    double inner = 0;
    for (std::size_t k = 0; k < teachers; ++k) inner += row[k] * slope[k];
    for (std::size_t k = 0; k < teachers; ++k) g(r, k) += static_cast<T>(row[k] * (slope[k] - inner) / b);
  }
  return value;
}

LIMBECK_END_NAMESPACE

#endif
