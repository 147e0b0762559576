#ifndef LIMBECK_TESTS_SUPPORT_SELECTION_CASES_HPP
#define LIMBECK_TESTS_SUPPORT_SELECTION_CASES_HPP

// The same query of a pool on the device and of its copy on the host. No test framework, see device_cases.hpp.

#include "geometric_pools.hpp"

#include <limbeck/thrust.hpp>

#include <thrust/device_vector.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace limbeck_test {

namespace lk = limbeck;

using findings = std::vector<std::string>;
using row_numbers = std::vector<std::size_t>;

/// A pool on the device, column by column or with padded rows where that is asked for.
enum class layout { rows, columns, padded };

template <class T>
struct device_pool {
  std::size_t n, d;
  layout how;
  thrust::device_vector<T> memory;
  explicit device_pool(const table<T>& t, layout l = layout::rows) : n(t.n), d(t.d), how(l) {
    if (l == layout::rows) {
      memory.assign(t.x.begin(), t.x.end());
      return;
    }
    std::vector<T> x(l == layout::columns ? n * d : n * (d + 3), std::numeric_limits<T>::quiet_NaN());
    for (std::size_t r = 0; r < n; ++r)
      for (std::size_t c = 0; c < d; ++c) x[l == layout::columns ? c * n + r : r * (d + 3) + c] = t.x[r * d + c];
    memory.assign(x.begin(), x.end());
  }
  lk::device_rows<const T> view() const {
    const T* const p = thrust::raw_pointer_cast(memory.data());
    const auto stride = [](std::size_t k) { return static_cast<std::ptrdiff_t>(k); };
    switch (how) {
      case layout::columns: return {p, n, d, 1, stride(n)};
      case layout::padded: return {p, n, d, stride(d + 3)};
      default: return {p, n, d};
    }
  }
};

template <class T>
lk::any_vector vector_on_device(const thrust::device_vector<T>& v) {
  return lk::any_vector(thrust::raw_pointer_cast(v.data()), v.size());
}

inline std::string listed(const row_numbers& rows) {
  std::string s;
  for (const std::size_t r : rows) s += ' ' + std::to_string(r);
  return s;
}
inline void same_rows(findings& out, const std::string& name, const row_numbers& host, const row_numbers& device) {
  if (host != device) out.push_back(name + ": host" + listed(host) + ", device" + listed(device));
}
inline void same_covering(findings& out, const std::string& name, const lk::covering& host, const lk::covering& device) {
  same_rows(out, name, host.rows, device.rows);
  if (host.distances != device.distances) out.push_back(name + ": other distances");
  if (host.radius != device.radius) out.push_back(name + ": another radius");
}
/// The same exception with the same words.
template <class Error, class Host, class Device>
void same_error(findings& out, const std::string& name, const Host& host, const Device& device) {
  const std::string a = message<Error>(host), b = message<Error>(device);
  if (a != b || a == "nothing was thrown") out.push_back(name + ": '" + a + "' on the host, '" + b + "' on the device");
}

template <class Selector, class T>
void same_cover(findings& out, const std::string& name, const Selector& s, const table<T>& t, const device_pool<T>& p,
                const lk::query& q) {
  same_covering(out, name, s.cover(t.view(), q), s.cover(p.view(), q));
  same_rows(out, name + ", rows alone", s(t.view(), q), s(p.view(), q));
}

/// k-center: sizes that fill packs and passes and that do not, exact numbers with ties, random ones, copies of rows.
template <class T>
findings compare_k_center() {
  findings out;
  for (const std::size_t d : {1u, 3u, 8u, 13u, 67u})
    for (const std::size_t levels : {0u, 3u}) {
      const auto t = random_table<T>(150, d, 7 * d + levels, levels);
      for (const layout l : {layout::rows, layout::columns, layout::padded}) {
        const device_pool<T> p(t, l);
        const std::string name =
            "150 x " + std::to_string(d) + (levels ? ", exact" : "") + ", layout " + std::to_string(static_cast<int>(l));
        const auto seeds = some_rows(150, 19, d), one = some_rows(150, 1, d + 1);
        same_cover(out, name, lk::k_center{}, t, p, {.budget = 40});
        same_cover(out, name + ", labelled", lk::k_center{}, t, p, {.budget = 40, .labelled = seeds});
        same_cover(out, name + ", one labelled", lk::k_center{}, t, p, {.budget = 1, .labelled = one});
        same_cover(out, name + ", radius", lk::k_center<>{.radius = 1.2, .first = 5}, t, p, {.budget = 149});
        same_cover(out, name + ", all", lk::k_center{}, t, p, {.budget = 131, .labelled = seeds});
      }
    }
  return out;
}

/// The other metrics, and weights.
template <class T>
findings compare_metrics() {
  findings out;
  const auto t = random_table<T>(120, 21, 3), p = random_probabilities<T>(120, 21, 4, 2);
  const auto seeds = some_rows(120, 10, 5);
  const lk::query q{.budget = 60, .labelled = seeds};
  same_cover(out, "cosine", lk::k_center<lk::cosine_distance>{}, t, device_pool<T>(t), q);
  same_cover(out, "hellinger", lk::k_center<lk::hellinger_distance>{}, p, device_pool<T>(p), q);
  same_cover(out, "pcoreset", lk::pcoreset{}, p, device_pool<T>(p), q);

  // probabilities of logits: on a GPU another exponential, which moves no row of this pool
  const device_pool<T> logits(t);
  const auto other = random_table<T>(120, 21, 6);
  const device_pool<T> other_logits(other);
  same_rows(out, "softmax", lk::pcoreset{}(lk::softmax_of(t.view(), 2), q), lk::pcoreset{}(lk::softmax_of(logits.view(), 2), q));
  const lk::mixing how{.share = 0.25, .temperature = 3};
  same_rows(out, "two heads", lk::pcoreset{}(lk::mixed_heads(t.view(), other.view(), how), q),
            lk::pcoreset{}(lk::mixed_heads(logits.view(), other_logits.view(), how), q));

  auto wide = t;  // squares beyond double's range, which a direction bears
  if constexpr (sizeof(T) == 8)
    for (std::size_t c = 0; c < wide.d; ++c) wide.x[c] *= 1e150, wide.x[5 * wide.d + c] *= 1e-200;
  same_cover(out, "cosine of a wide range", lk::k_center<lk::cosine_distance>{}, wide, device_pool<T>(wide), q);

  std::vector<float> weights(120);
  for (std::size_t r = 0; r < 120; ++r) weights[r] = r % 5 == 0 ? 0.0f : 0.3f * static_cast<float>(r % 7);
  const thrust::device_vector<float> on_device(weights.begin(), weights.end());
  const lk::k_center<> host{.weights = lk::any_vector(weights.data(), 120)}, device{.weights = vector_on_device(on_device)};
  for (const std::size_t budget : {20u, 110u})
    same_covering(out, "weighted", host.cover(t.view(), {.budget = budget, .labelled = seeds}),
                  device.cover(device_pool<T>(t).view(), {.budget = budget, .labelled = seeds}));
  return out;
}

/// What is wrong with a query, an option, a row.
template <class T>
findings compare_selection_errors() {
  findings out;
  const auto fine = random_table<T>(30, 9, 1);
  const row_numbers labelled{20, 4}, twice{3, 3}, outside{30};
  const auto both = [&](const std::string& name, const auto& selector, const table<T>& t, const lk::query& q) {
    same_error<lk::value_error>(out, name, [&] { selector(t.view(), q); }, [&] { selector(device_pool<T>(t).view(), q); });
  };
  const auto ask = [&](const std::string& name, const auto& selector) {
    both(name + ", budget 0", selector, fine, {});
    both(name + ", budget n + 1", selector, fine, {.budget = 31});
    both(name + ", budget of labelled", selector, fine, {.budget = 29, .labelled = labelled});
    both(name + ", twice", selector, fine, {.budget = 2, .labelled = twice});
    both(name + ", outside", selector, fine, {.budget = 2, .labelled = outside});
  };
  ask("k_center", lk::k_center{});
  ask("random rows", lk::random_rows{});
  ask("margin", lk::margin_sampling());
  both("first", lk::k_center<>{.first = 30}, fine, {.budget = 2});

  const lk::query q{.budget = 5, .labelled = labelled};
  const auto with = [](table<T> t, std::size_t at, double x) {
    t.x[at] = static_cast<T>(x);
    return t;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  both("nan", lk::k_center{}, with(with(fine, 7 * 9 + 5, nan), 9 * 9, nan), q);
  both("inf", lk::k_center{}, with(fine, 29 * 9 + 8, -inf), {.budget = 3});
  both("nan of a labelled row", lk::k_center{}, with(with(fine, 7 * 9 + 5, nan), 20 * 9 + 2, nan), q);
  both("a square that overflows", lk::k_center{}, with(fine, 8 * 9 + 1, std::numeric_limits<T>::max() / 4), q);
  auto tiny = fine;
  for (T& x : tiny.x) x *= std::numeric_limits<T>::min();
  both("squares that vanish", lk::k_center{}, tiny, q);
  auto zero = fine;
  for (std::size_t c = 0; c < 9; ++c) zero.x[11 * 9 + c] = 0;
  both("no direction", lk::k_center<lk::cosine_distance>{}, zero, q);
  const auto p = random_probabilities<T>(30, 9, 2);
  both("no probability", lk::pcoreset{}, with(p, 12 * 9 + 1, -0.25), q);
  both("no sum of 1", lk::k_center<lk::hellinger_distance>{}, with(p, 12 * 9 + 1, 1.5), q);
  const auto of_softmax = [&](const std::string& name, const table<T>& x, double temperature) {
    same_error<lk::value_error>(
        out, name, [&] { lk::pcoreset{}(lk::softmax_of(x.view(), temperature), {.budget = 2}); },
        [&] { lk::pcoreset{}(lk::softmax_of(device_pool<T>(x).view(), temperature), {.budget = 2}); });
  };
  of_softmax("softmax, nan", with(with(fine, 7 * 9 + 5, nan), 9 * 9, inf), 1);
  of_softmax("softmax, inf", with(fine, 7 * 9 + 5, inf), 2);
  of_softmax("softmax, no temperature", fine, 0);
  const auto share = [&](const auto& x) { return [&x] { lk::mixed_heads(x, x, {.share = 1.5}); }; };
  const device_pool<T> on_device(fine);
  const auto host_view = fine.view();
  const auto device_view = on_device.view();
  same_error<lk::value_error>(out, "share", share(host_view), share(device_view));
  both("nan logit", lk::margin_sampling(), with(fine, 17 * 9 + 3, nan), q);

  std::vector<double> weights(30, 1);
  for (const double bad : {-1.0, nan, inf}) {
    weights[13] = bad;
    const thrust::device_vector<double> bad_weights(weights.begin(), weights.end());
    same_error<lk::value_error>(
        out, "weights",
        [&] { lk::k_center<>{.weights = lk::any_vector(weights.data(), 30)}(fine.view(), {.budget = 2}); },
        [&] { lk::k_center<>{.weights = vector_on_device(bad_weights)}(device_pool<T>(fine).view(), {.budget = 2}); });
  }
  const std::vector<T> scores(29, 1);
  const thrust::device_vector<T> device_scores(scores.begin(), scores.end());
  same_error<lk::shape_error>(
      out, "scores", [&] { lk::by_highest(scores)(fine.view(), {.budget = 2}); },
      [&] { lk::by_highest(device_scores)(device_pool<T>(fine).view(), {.budget = 2}); });
  same_error<lk::shape_error>(
      out, "no columns", [&] { lk::k_center{}(lk::rows<const T>(fine.x.data(), 3, 0), {.budget = 2}); },
      [&] { lk::k_center{}(lk::device_rows<const T>(nullptr, 3, 0), {.budget = 2}); });
  same_error<lk::shape_error>(
      out, "no rows", [&] { lk::k_center{}(lk::rows<const T>(fine.x.data(), 0, 3), {.budget = 2}); },
      [&] { lk::k_center{}(lk::device_rows<const T>(nullptr, 0, 3), {.budget = 2}); });
  return out;
}

/// Vectors of scores: ties, zeros of both signs, infinities, whole numbers; NaN is named.
template <class V>
findings compare_scores() {
  findings out;
  const std::size_t n = 500;
  lk::random_stream random(11);
  std::vector<V> scores(n);
  for (V& x : scores) x = static_cast<V>(static_cast<double>(random.below(40)) - 20);
  if constexpr (std::is_floating_point_v<V>) {
    for (std::size_t i = 0; i < n; i += 3) scores[i] = static_cast<V>(random.normal());
    for (std::size_t i = 0; i < n; i += 7) scores[i] = i % 2 ? V(0) : -V(0);
    scores[77] = scores[3] = std::numeric_limits<V>::infinity();
    scores[78] = scores[4] = -std::numeric_limits<V>::infinity();
  }
  const thrust::device_vector<V> on_device(scores.begin(), scores.end());
  const auto t = random_table<float>(n, 2, 1);
  const device_pool<float> p(t);
  const auto seeds = some_rows(n, 100, 3);
  for (const std::size_t k : {std::size_t{1}, std::size_t{13}, n}) {
    same_rows(out, "top_k", lk::top_k(scores, k), lk::top_k(on_device, k));
    same_rows(out, "bottom_k", lk::bottom_k(scores, k), lk::bottom_k(on_device, k));
    const lk::query q{.budget = k < n ? k : n - 100, .labelled = seeds};
    same_rows(out, "by_highest", lk::by_highest(scores)(t.view(), q), lk::by_highest(on_device)(p.view(), q));
    same_rows(out, "by_lowest", lk::by_lowest(scores)(t.view(), q), lk::by_lowest(on_device)(p.view(), q));
  }
  const lk::device_span<const V> every_second(thrust::raw_pointer_cast(on_device.data()), n / 2, 2);
  std::vector<V> half;
  for (std::size_t i = 0; i < n; i += 2) half.push_back(scores[i]);
  same_rows(out, "a stride", lk::top_k(half, 20), lk::top_k(every_second, 20));
  for (const std::size_t k : {std::size_t{0}, n + 1})
    same_error<lk::value_error>(out, "k", [&] { lk::top_k(scores, k); }, [&] { lk::top_k(on_device, k); });
  if constexpr (std::is_floating_point_v<V>) {
    scores[44] = scores[300] = std::numeric_limits<V>::quiet_NaN();
    const thrust::device_vector<V> with_nan(scores.begin(), scores.end());
    same_error<lk::value_error>(out, "nan", [&] { lk::top_k(scores, 3); }, [&] { lk::top_k(with_nan, 3); });
  }
  return out;
}

/// Signals: logits whose scores are apart by more than rounding, and copies of rows, which have one score.
template <class T>
findings compare_signals() {
  findings out;
  const std::size_t n = 90, c = 11;
  table<T> t{n, c, std::vector<T>(n * c)}, teacher = t;
  const auto order = some_rows(n, n, 8);
  lk::random_stream random(2);
  for (std::size_t i = 0; i < n; ++i)  // the same logits, times a size that falls: entropy, margin, confidence follow it
    for (std::size_t k = 0; k < c; ++k) t.x[order[i] * c + k] = static_cast<T>(k) * static_cast<T>(0.05 + 0.01 * double(i));
  for (T& x : teacher.x) x = static_cast<T>(random.normal());
  for (std::size_t k = 0; k < c; ++k) t.x[40 * c + k] = t.x[60 * c + k] = t.x[80 * c + k];
  std::vector<int> labels(n);
  for (std::size_t r = 0; r < n; ++r) labels[r] = static_cast<int>(r % c);
  const thrust::device_vector<int> device_labels(labels.begin(), labels.end());
  const device_pool<T> p(t), q(teacher);
  const auto s = t.view();
  [[maybe_unused]] const auto other = teacher.view();
  [[maybe_unused]] const auto teacher_view = q.view();
  const auto seeds = some_rows(n, 7, 4);
  for (const std::size_t budget : {1u, 30u, 83u}) {
    const lk::query host{.budget = budget, .labelled = seeds, .labels = lk::any_vector(labels.data(), n), .seed = 3};
    lk::query device = host;
    device.labels = vector_on_device(device_labels);
    const auto same = [&](const char* name, const auto& selector) {
      same_rows(out, name, selector(s, host), selector(p.view(), device));
    };
    same("entropy", lk::entropy_sampling());
    same("margin", lk::margin_sampling());
    same("random rows", lk::random_rows{});
    if constexpr (sizeof(T) == 4) {  // double reads its rows in the same way
      same("least confidence", lk::least_confidence_sampling());
      same("label loss", lk::by_highest(lk::label_loss{}));
      same_rows(out, "divergence", lk::by_highest(lk::divergence_of(lk::forward_kl{}), other)(s, host),
                lk::by_highest(lk::divergence_of(lk::forward_kl{}), teacher_view)(p.view(), device));
    }
  }
  return out;
}

}  // namespace limbeck_test

#endif
