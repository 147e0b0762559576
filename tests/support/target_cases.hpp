#ifndef LIMBECK_TESTS_SUPPORT_TARGET_CASES_HPP
#define LIMBECK_TESTS_SUPPORT_TARGET_CASES_HPP

// The same targets over device memory and over plain memory, no test framework: see device_cases.hpp.

#include "device_cases.hpp"

#include <limbeck/target/layer_mean.hpp>
#include <limbeck/schedule/schedules.hpp>
#include <limbeck/targets.hpp>

namespace limbeck_test {

/// What targets are made of, on the host.
template <class T>
struct target_numbers {
  std::size_t n, c, m;  // samples, classes, classes of a teacher with another vocabulary
  std::vector<T> student, a, b, d, wide, yes_or_no, averages, gates, prototypes, times;
  std::vector<int> labels;
  std::vector<std::size_t> ids;
  std::vector<std::uint64_t> map_offsets;
  std::vector<std::int32_t> map_ids;
  std::vector<T> map_weights;
  lk::sparse_store<T> sparse;

  target_numbers(std::size_t samples, std::size_t classes, std::uint32_t seed) : n(samples), c(classes), m(classes + 3) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> uniform;
    const auto fill = [&](std::vector<T>& x, std::size_t size, double scale) {
      x.resize(size);
      for (T& v : x) v = static_cast<T>(scale * normal(random));
    };
    for (auto* x : {&student, &a, &b, &d}) fill(*x, n * c, 3);
    fill(wide, n * m, 3);
    for (auto* x : {&yes_or_no, &averages}) {
      x->resize(n * c);
      for (T& v : *x) v = static_cast<T>(uniform(random));
    }
    for (std::size_t i = 0; i < n * c; i += 3) yes_or_no[i] = T(i % 2);
    for (std::size_t i = 0; i < c; ++i) averages[i] = 0;  // a sample without an average
    gates.resize(n * 3);
    for (T& v : gates) v = static_cast<T>(uniform(random) + 0.1);
    for (std::size_t r = 0; r < n; ++r) times.push_back(static_cast<T>(0.05 + 0.9 * static_cast<double>(r) / static_cast<double>(n)));
    for (std::size_t r = 0; r < n; ++r) {
      labels.push_back(r % 4 == 3 ? -1 : static_cast<int>(random() % c));
      ids.push_back((r + 1) % n);
    }
    for (std::size_t i = 0; i <= m; ++i) {
      map_offsets.push_back(map_ids.size());
      if (i == m) break;
      for (std::size_t k = 0; k < i % 3; ++k) {
        map_ids.push_back(static_cast<std::int32_t>((i + 2 * k) % (c > 1 ? c - 1 : c)));  // nothing leads to the last class
        map_weights.push_back(static_cast<T>(0.5 + 0.25 * static_cast<double>(k)));
      }
    }
    sparse = lk::keep_top(lk::rows<const T>(b.data(), n, c), 3, 2.0);
    fill(prototypes, c * 3, 1);
    for (std::size_t j = 0; j < 3; ++j) prototypes[j] = 0;  // a class that was never seen
  }
  /// Masked classes, and rows that no softmax has.
  void spoil() {
    const T nan = std::numeric_limits<T>::quiet_NaN();
    const auto at = [&](std::vector<T>& x, std::size_t r, std::size_t i) -> T& { return x[(r % n) * c + i % c]; };
    for (std::size_t r = 0; r < n; ++r) at(a, r, r) = -infinity<T>;
    at(b, 1, 1) = at(d, 1, 1) = -infinity<T>;          // masked by all
    at(b, 2, 0) = T(-200), at(d, 2, 0) = T(-250), at(a, 2, 0) = T(-220);  // too improbable for a float
    for (std::size_t i = 0; i < c; ++i) at(b, 3, i) = -infinity<T>;  // a row masked as a whole
    at(d, 4, c - 1) = nan;
    at(a, 5, c / 2) = infinity<T>;
    at(student, 6, 0) = -infinity<T>;
    wide[0] = -infinity<T>;
    wide[(4 % n) * m + 1] = nan;
  }
};

/// They, as a target of the host sees them.
template <class T>
struct host_side {
  using scalar = T;
  using memory = lk::host_rows;
  target_numbers<T> x;
  explicit host_side(target_numbers<T> numbers) : x(std::move(numbers)) {}
  auto in(const std::vector<T>& v, std::size_t classes) const { return lk::rows<const T>(v.data(), x.n, classes); }
  auto student() const { return in(x.student, x.c); }
  auto a() const { return in(x.a, x.c); }
  auto b() const { return in(x.b, x.c); }
  auto d() const { return in(x.d, x.c); }
  auto yes_or_no() const { return in(x.yes_or_no, x.c); }
  auto gates() const { return in(x.gates, 3); }
  auto prototypes() const { return lk::rows<const T>(x.prototypes.data(), x.c, 3); }
  auto averages() const { return in(x.averages, x.c); }
  const auto& times() const { return x.times; }
  std::span<const std::size_t> ids() const { return x.ids; }
  const auto& labels() const { return x.labels; }
  auto sparse() const { return x.sparse.view(); }
  auto mapped() const {
    return lk::class_mapped(in(x.wide, x.m), lk::class_map<T>{x.c, x.map_offsets, x.map_ids, x.map_weights}, 1.5);
  }
  template <class Target>
  std::vector<T> filled(const Target& t, double at) const {
    std::vector<T> out(x.n * x.c, T(7));
    lk::fill(t, lk::rows<T>(out.data(), x.n, x.c), student(), labels(), lk::progress(at));
    return out;
  }
};

/// And a target of the device.
template <class T>
struct device_side {
  using scalar = T;
  using memory = lk::device_memory;
  std::size_t n, c, m;
  thrust::device_vector<T> student_, a_, b_, d_, wide_, yes_or_no_, averages_, gates_, prototypes_, times_;
  thrust::device_vector<int> labels_;
  thrust::device_vector<std::size_t> ids_;
  lk::device_sparse_rows<T> sparse_;
  lk::device_class_map<T> map_;
  mutable lk::device_workspace ws;
  explicit device_side(const target_numbers<T>& x)
      : n(x.n), c(x.c), m(x.m), student_(to_device(x.student)), a_(to_device(x.a)), b_(to_device(x.b)), d_(to_device(x.d)),
        wide_(to_device(x.wide)), yes_or_no_(to_device(x.yes_or_no)), averages_(to_device(x.averages)),
        gates_(to_device(x.gates)), prototypes_(to_device(x.prototypes)), times_(to_device(x.times)),
        labels_(to_device(x.labels)), ids_(to_device(x.ids)), sparse_(x.sparse),
        map_(lk::class_map<T>{x.c, x.map_offsets, x.map_ids, x.map_weights}) {}
  auto student() const { return lk::on_device(student_, n, c); }
  auto a() const { return lk::on_device(a_, n, c); }
  auto b() const { return lk::on_device(b_, n, c); }
  auto d() const { return lk::on_device(d_, n, c); }
  auto yes_or_no() const { return lk::on_device(yes_or_no_, n, c); }
  auto gates() const { return lk::on_device(gates_, n, 3); }
  auto prototypes() const { return lk::on_device(prototypes_, c, 3); }
  auto averages() const { return lk::on_device(averages_, n, c).memory; }
  const auto& times() const { return times_; }
  std::span<const std::size_t> ids() const { return {thrust::raw_pointer_cast(ids_.data()), n}; }
  const auto& labels() const { return labels_; }
  auto sparse() const { return sparse_.view(); }
  auto mapped() const { return lk::class_mapped(lk::on_device(wide_, n, m), map_.view(), 1.5); }
  template <class Target>
  std::vector<T> filled(const Target& t, double at) const {
    thrust::device_vector<T> out(n * c, T(7));
    lk::fill(t, lk::on_device(out, n, c), student(), labels(), lk::progress(at), ws);
    return to_host(out);
  }
};

/// f(name, target) for ensembles and their weights.
template <class Side, class F>
void each_ensemble(const Side& s, F&& f) {
  const auto three = lk::mean_of_probabilities(s.a(), s.b(), s.d());
  f("mean of probabilities", three.at_temperature(2));
  f("mean of logits", lk::mean_of_logits(s.a(), s.b()));
  f("geometric mean", lk::geometric_mean(s.a(), s.b(), s.d()));
  f("one teacher", lk::mean_of_probabilities(s.a()));
  f("fixed weights", three.weighted(lk::fixed_weights{1, 0, 3}));
  f("given weights", three.weighted(lk::weights_of(s.gates())));
  f("routed", three.weighted(lk::routed(s.gates(), 2)));
  f("entropy weights", three.weighted(lk::entropy_weights{}));
  f("confidence weights", three.weighted(lk::confidence_weights{}));
  const std::vector views{s.a(), s.b(), s.d(), s.a()};
  f("a range", lk::mean_of_probabilities(views).weighted(lk::fixed_weights{1, 2, 3, 4}));
  f("layer mean", lk::layer_mean(views));
  f("nested", lk::mean_of_logits(lk::mean_of_probabilities(s.a(), lk::mean_of_logits(s.b(), s.d())), s.d())
                  .weighted(lk::confidence_weights{}));
}
/// The same for what is done to one teacher, and for those without a tensor.
template <class Side, class F>
void each_transform(const Side& s, F&& f) {
  using T = typename Side::scalar;
  const auto two = lk::mean_of_probabilities(s.a(), s.d());
  f("interpolated", lk::interpolated(s.a(), lk::linear(0.2, 0.8)));
  f("the student", lk::interpolated(s.d(), 0));
  f("interpolated ensemble", lk::interpolated(two.at_temperature(lk::cosine(4, 1)), 0.3));
  f("label mixed", lk::label_mixed(s.b(), lk::step({{0, 0.1}, {0.5, 0.4}}), 2.0));
  f("the label", lk::label_mixed(s.b(), 1));
  f("smoothed", lk::smoothed(lk::label_mixed(s.a(), 0.2), 0.1, 3.0));
  f("power", lk::power_transformed(s.a(), lk::piecewise({{0, 0.5}, {1, 2}})));
  f("scores", lk::mean_of_logits(lk::min_max_scores(s.a()), lk::min_max_scores(s.b())));
  f("binary labels", lk::binary_labels(s.yes_or_no(), 1.5));
  f("zipf", lk::zipf_labels(s.a()));
  f("zipf of an ensemble", lk::zipf_labels(two));
  f("shifted", lk::shifted(s.a(), s.b(), lk::interpolated(two, 0.4), lk::linear(0.2, 1.5)));
  f("sparse", lk::sparse_target(s.sparse()));
  f("sparse, dropped", lk::mean_of_probabilities(lk::sparse_target(s.sparse(), lk::tail::drop), s.a()));
  f("past", lk::temporal_target<T, lk::linear, typename Side::memory>{s.averages(), s.ids(), lk::linear(1, 3)});
  f("mapped", s.mapped());
  f("like prototypes", lk::like_prototypes(s.gates(), s.prototypes()));
  f("near prototypes", lk::like_prototypes(s.gates(), s.prototypes(), {.temperature = 3, .measure = lk::likeness::squared_distance}));
}
struct ensembles {
  template <class Side, class F>
  void operator()(const Side& s, F&& f) const {
    each_ensemble(s, f);
  }
};
struct transforms {
  template <class Side, class F>
  void operator()(const Side& s, F&& f) const {
    each_transform(s, f);
  }
};

/// A row as it is said in a complaint, to a few ulps of its largest finite element.
template <class T>
void compare_target_rows(complaints& out, const std::string& name, const std::vector<T>& host, const std::vector<T>& device,
                         std::size_t classes, double ulps = 64) {
  for (std::size_t i = 0; i < host.size(); ++i) {
    double scale = 1;
    for (std::size_t c = i / classes * classes; c < (i / classes + 1) * classes; ++c)
      if (const auto x = std::abs(static_cast<double>(host[c])); x < 1e30) scale = std::max(scale, x);
    if (near<T>(static_cast<double>(host[i]), static_cast<double>(device[i]), scale, ulps)) continue;
    out.push_back(name + ": row " + std::to_string(i / classes) + ", class " + std::to_string(i % classes) + " is " +
                  std::to_string(host[i]) + " on the host, " + std::to_string(device[i]) + " on the device");
    return;
  }
}

/// All targets of a kind, their rows on the host and as @p fill(device side, target, progress) makes them.
template <class T, class Kind, class Fill>
void compare_targets(complaints& out, const Kind& kind, std::size_t n, std::size_t c, bool spoiled, const Fill& fill) {
  target_numbers<T> numbers(n, c, static_cast<std::uint32_t>(n + c));
  if (spoiled) numbers.spoil();
  const device_side<T> device(numbers);
  const host_side<T> host(std::move(numbers));
  std::vector<std::pair<std::string, std::vector<T>>> expected;
  const double at = 0.7;
  kind(host, [&](const char* name, const auto& t) { expected.emplace_back(name, host.filled(t, at)); });
  std::size_t i = 0;
  kind(device, [&](const char* name, const auto& t) {
    const std::string what = limbeck_test::at(name, n, c) + (spoiled ? ", spoiled" : "");
    compare_target_rows(out, what, expected[i++].second, fill(device, t, at), c);
  });
}
inline constexpr auto by_device = [](const auto& side, const auto& t, double at) { return side.filled(t, at); };

}  // namespace limbeck_test

#endif
