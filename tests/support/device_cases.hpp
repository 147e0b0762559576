#ifndef LIMBECK_TESTS_SUPPORT_DEVICE_CASES_HPP
#define LIMBECK_TESTS_SUPPORT_DEVICE_CASES_HPP

// The same objectives over device memory and over plain memory. No test framework: tests/thrust runs these cases on Thrust's
// host systems, tests/device/run_on_gpu.cu on a GPU.

#include "batch.hpp"

#include <limbeck/diffusion.hpp>
#include <limbeck/features.hpp>
#include <limbeck/thrust.hpp>

#include <thrust/copy.h>
#include <thrust/fill.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace limbeck_test {

namespace lk = limbeck;

/// What did not hold.
using complaints = std::vector<std::string>;

template <class T>
thrust::device_vector<T> to_device(const std::vector<T>& v) {
  return thrust::device_vector<T>(v.begin(), v.end());
}
template <class T>
std::vector<T> to_host(const thrust::device_vector<T>& v) {
  std::vector<T> x(v.size());
  thrust::copy(v.begin(), v.end(), x.begin());
  return x;
}

/// A batch on the device.
template <class T>
struct device_batch {
  std::size_t samples, classes;
  thrust::device_vector<T> student, teacher, gradient;
  thrust::device_vector<int> labels;
  explicit device_batch(const batch<T>& b)
      : samples(b.samples),
        classes(b.classes),
        student(to_device(b.student)),
        teacher(to_device(b.teacher)),
        gradient(b.size(), T(-7)),
        labels(to_device(b.labels)) {}
  lk::device_rows<const T> s() const { return lk::on_device(student, samples, classes); }
  lk::device_rows<const T> t() const { return lk::on_device(teacher, samples, classes); }
  lk::device_rows<T> g() { return lk::on_device(gradient, samples, classes); }
};

/// Equal, both infinite, or apart by @p ulps of @p scale.
template <class T>
bool near(double a, double b, double scale, double ulps) {
  if (a == b || (a != a && b != b)) return true;
  return std::abs(a - b) <= ulps * static_cast<double>(std::numeric_limits<T>::epsilon()) * scale;
}

template <class T>
void compare_evaluations(complaints& out, const std::string& name, const lk::evaluation& host,
                         const lk::evaluation& device, double ulps = 32) {
  const auto check = [&](const char* what, double a, double b) {
    if (!near<T>(a, b, std::abs(a) + 1e-30, ulps))
      out.push_back(name + ": " + what + " " + std::to_string(a) + " on the host, " + std::to_string(b) + " on the device");
  };
  check("loss", host.loss, device.loss);
  check("weight", host.weight, device.weight);
  check("rows", static_cast<double>(host.rows), static_cast<double>(device.rows));
  for (std::size_t i = 0; i < host.temperature_gradient.size(); ++i)
    if (!near<T>(host.temperature_gradient[i], device.temperature_gradient[i], std::abs(host.temperature_gradient[i]) + 0.1, 20 * ulps))  // a sum that cancels
      out.push_back(name + ": temperature gradient " + std::to_string(host.temperature_gradient[i]) + " on the host, " +
                    std::to_string(device.temperature_gradient[i]) + " on the device");
}

/// Gradients, to a few ulps of the largest element of their row.
template <class T>
void compare_rows(complaints& out, const std::string& name, const std::vector<T>& host, const std::vector<T>& device,
                  std::size_t classes, double ulps = 64) {
  for (std::size_t first = 0; first < host.size(); first += classes) {
    double scale = 0;
    for (std::size_t c = 0; c < classes; ++c) scale = std::max(scale, std::abs(static_cast<double>(host[first + c])));
    for (std::size_t c = 0; c < classes; ++c) {
      const double a = static_cast<double>(host[first + c]), b = static_cast<double>(device[first + c]);
      if (near<T>(a, b, scale, ulps)) continue;
      out.push_back(name + ": row " + std::to_string(first / classes) + ", class " + std::to_string(c) + " is " +
                    std::to_string(a) + " on the host, " + std::to_string(b) + " on the device");
      return;
    }
  }
}

/// `objective(student, teacher, labels, more(memory)...)` on both sides. @p host_more and @p device_more take a function and
/// call it with the further arguments.
template <class T, class Objective, class HostMore, class DeviceMore>
void compare(complaints& out, const std::string& name, const Objective& objective, const batch<T>& b,
             const HostMore& host_more, const DeviceMore& device_more) {
  std::vector<T> g(b.size(), T(-7));
  lk::workspace ws;
  device_batch<T> d(b);
  lk::device_workspace dws;
  const lk::rows<T> into(g.data(), b.samples, b.classes);
  const lk::evaluation host = host_more(
      [&](const auto&... more) { return objective(b.s(), b.t(), b.labels, lk::unread_is_fine, lk::into(into), ws, more...); });
  const lk::evaluation device = device_more(
      [&](const auto&... more) { return objective(d.s(), d.t(), d.labels, lk::unread_is_fine, lk::into(d.g()), dws, more...); });
  compare_evaluations<T>(out, name, host, device);
  compare_rows(out, name, g, to_host(d.gradient), b.classes);

  const double value =
      device_more([&](const auto&... more) { return objective.value(d.s(), d.t(), d.labels, lk::unread_is_fine, dws, more...); });
  if (!near<T>(device.loss, value, std::abs(value), 4)) out.push_back(name + ": the value alone differs");
}
template <class T, class Objective>
void compare(complaints& out, const std::string& name, const Objective& objective, const batch<T>& b) {
  const auto nothing = [](const auto& call) { return call(); };
  compare(out, name, objective, b, nothing, nothing);
}

inline std::string at(const char* what, std::size_t n, std::size_t c) {
  return std::string(what) + " at " + std::to_string(n) + " x " + std::to_string(c);
}

/// The objectives that between them use every statistic, for one shape of batch.
template <class T>
void compare_objectives(complaints& out, std::size_t n, std::size_t c, std::uint32_t seed) {
  const auto b = random_batch<T>(n, c, seed, 3);
  const auto four = 0.1 * lk::cross_entropy{.smoothing = 0.05} +
                    lk::at_temperature(4.0, lk::forward_kl{} + 0.3 * lk::reverse_kl{} + lk::jensen_shannon{});
  compare(out, at("four terms", n, c), four, b);
  compare(out, at("decoupled", n, c), lk::dkd{} + lk::nkd{.gamma = 0.5, .temperature = 2} + lk::ofa{}, b);
  compare(out, at("logits", n, c), lk::mse{} + lk::bernoulli{lk::jensen_shannon{.beta = 0.3}}, b);
  compare(out, at("regressions", n, c),
          lk::l1{} + lk::smooth_l1{.beta = 0.5} + lk::barron{.alpha = 0.5, .scale = 2} + lk::bce_with_logits{} +
              0.5 * lk::cosine_loss{} + lk::row_distance{} + lk::squared_probabilities{} +
              lk::at_temperature(2.0, lk::student_entropy{}) + lk::reverse_cross_entropy{} + 0.1 * lk::bits{},
          b);
  compare(out, at("critics", n, c),
          lk::critic_hinge{lk::critic_role::real} + 0.5 * lk::critic_logistic{lk::critic_role::fake, 0.1} + lk::critic_least_squares{} +
              0.1 * lk::critic_wasserstein{lk::critic_role::fake} + 0.2 * lk::gradient_penalty{1} + lk::cross_entropy{},
          b);
  compare(out, at("others", n, c),
          lk::at_temperature(3.0, lk::total_variation{} + lk::squared_hellinger{} + lk::alpha_divergence{.alpha = 0.3}) +
              lk::at_temperature(2.0, 5.0, lk::skew_kl{} + lk::skew_reverse_kl{} + lk::alpha_beta{}),
          b);
}

/// Everything that a row can have of its own.
template <class T>
void compare_rows_of_their_own(complaints& out, std::size_t n, std::size_t c) {
  auto b = random_batch<T>(n, c, 5, 2);
  b.labels[1] = -100;
  b.labels[n - 1] = 3 % static_cast<int>(c);
  std::vector<float> weights(n);
  std::vector<unsigned char> mask(n, 1), class_mask(c, 1);
  std::vector<double> temperatures(n);
  for (std::size_t r = 0; r < n; ++r) {
    weights[r] = static_cast<float>(r % 4) * 0.5f;
    temperatures[r] = 1 + 0.25 * static_cast<double>(r % 7);
  }
  mask[2] = 0;
  for (std::size_t k = 0; k < c; k += 3) class_mask[k] = 0;
  class_mask[c - 1] = 1;
  const auto dw = to_device(weights);
  const auto dm = to_device(mask), dc = to_device(class_mask);
  const auto dt = to_device(temperatures);

  const double t = 2.5;
  const auto objective = lk::at_temperature(lk::per_row{}, lk::forward_kl{} + lk::dkd{}) + lk::cross_entropy{} +
                         0.5 * lk::at_temperature(lk::learned(t), lk::reverse_kl{}) +
                         lk::at_temperature(3.0, lk::on<lk::masked>(lk::jensen_shannon{}));
  std::vector<T> losses(n), by_t(n);
  thrust::device_vector<T> device_losses(n), device_by_t(n);
  for (const auto& reduce : {lk::mean, lk::sum, lk::mean_over(123)})
    compare(
        out, at("rows of their own", n, c), objective, b,
        [&](const auto& call) {
          return call(lk::row_weights(weights), lk::row_mask(mask), lk::class_mask(class_mask), lk::row_losses(losses),
                      lk::row_temperatures(temperatures), reduce);
        },
        [&](const auto& call) {
          return call(lk::row_weights(dw), lk::row_mask(dm), lk::class_mask(dc), lk::row_losses(device_losses),
                      lk::row_temperatures(dt), reduce);
        });
  compare_rows(out, at("row losses", n, c), losses, to_host(device_losses), 1, 128);

  // d loss / dT of each row
  lk::workspace ws;
  lk::device_workspace dws;
  std::vector<T> g(b.size());
  device_batch<T> d(b);
  const auto kl = lk::at_temperature(lk::per_row{}, lk::forward_kl{});
  (void)kl(b.s(), b.t(), b.labels, lk::unread_is_fine, lk::into(lk::rows<T>(g.data(), n, c)), lk::row_temperatures(temperatures),
           lk::row_temperature_gradient(by_t), ws);
  (void)kl(d.s(), d.t(), d.labels, lk::unread_is_fine, lk::into(d.g()), lk::row_temperatures(dt), lk::row_temperature_gradient(device_by_t), dws);
  const auto found = to_host(device_by_t);
  for (std::size_t r = 0; r < n; ++r)
    if (!near<T>(static_cast<double>(by_t[r]), static_cast<double>(found[r]), 1.0 / static_cast<double>(n), 256))
      out.push_back(at("row temperature gradient", n, c));
}

/// Masked logits on either side, rows that agree, probabilities as labels, strides.
template <class T>
void compare_special_rows(complaints& out, std::size_t n, std::size_t c) {
  auto b = random_batch<T>(n, c, 9, 2);
  for (std::size_t r = 0; r < n; ++r) b.student[r * c + (r + 1) % c] = -infinity<T>, b.labels[r] = static_cast<int>(r % c);
  for (std::size_t r = 0; r < n; r += 2) b.teacher[r * c + (r + 1) % c] = -infinity<T>;
  compare(out, at("masked by the student", n, c), lk::at_temperature(2.0, lk::reverse_kl{} + lk::jensen_shannon{}), b);
  compare(out, at("infinite", n, c), lk::at_temperature(2.0, lk::forward_kl{}), b);

  const auto close = random_batch<T>(n, c, 11, 2, 1e-4);
  compare(out, at("close", n, c), lk::at_temperature(4.0, lk::forward_kl{}), close);
  const auto equal = random_batch<T>(n, c, 12, 2, 0);
  compare(out, at("equal", n, c), lk::at_temperature(4.0, lk::forward_kl{} + lk::jensen_shannon{}), equal);

  // probabilities as labels
  std::vector<T> p(b.size(), T(1) / static_cast<T>(c));
  const auto dp = to_device(p);
  const auto probabilities = random_batch<T>(n, c, 13, 2);
  compare(
      out, at("soft labels", n, c), lk::objective(lk::cross_entropy{.smoothing = 0.1}), probabilities,
      [&](const auto& call) { return call(lk::soft_labels(lk::rows<const T>(p.data(), n, c))); },
      [&](const auto& call) { return call(lk::soft_labels(lk::on_device(dp, n, c))); });

  // a sample in a column; every second row of a longer matrix, which no 16-byte load can read
  const auto kl = lk::at_temperature(4.0, lk::forward_kl{});
  lk::workspace ws;
  lk::device_workspace dws;
  device_batch<T> d(probabilities);
  std::vector<T> g(b.size());
  const lk::rows<const T> s(probabilities.student.data(), c, n), t(probabilities.teacher.data(), c, n);
  const auto host = kl(lk::samples_in_columns(s), lk::samples_in_columns(t),
                       lk::into(lk::samples_in_columns(lk::rows<T>(g.data(), c, n))), ws);
  const auto ds = lk::on_device(std::as_const(d.student), c, n), dt = lk::on_device(std::as_const(d.teacher), c, n);
  const auto device = kl(lk::samples_in_columns(ds), lk::samples_in_columns(dt),
                         lk::into(lk::samples_in_columns(lk::on_device(d.gradient, c, n))), dws);
  compare_evaluations<T>(out, at("samples in columns", n, c), host, device);
  if (n > 2) {
    const std::size_t m = (n - 1) / 2;
    const auto stride = static_cast<std::ptrdiff_t>(2 * c);
    const T* const hs = probabilities.student.data() + 1;
    const T* const ht = probabilities.teacher.data() + 1;
    const double on_host = kl.value(lk::rows<const T>(hs, m, c, stride), lk::rows<const T>(ht, m, c, stride), ws);
    const T* const ps = thrust::raw_pointer_cast(d.student.data()) + 1;
    const T* const pt = thrust::raw_pointer_cast(d.teacher.data()) + 1;
    const double on_device =
        kl.value(lk::device_rows<const T>(ps, m, c, stride), lk::device_rows<const T>(pt, m, c, stride), dws);
    if (!near<T>(on_host, on_device, on_host, 32)) out.push_back(at("strided", n, c));
  }
}

template <class T>
complaints compare_all(const std::vector<std::pair<std::size_t, std::size_t>>& shapes) {
  complaints out;
  std::uint32_t seed = 1;
  for (const auto& [n, c] : shapes) {
    compare_objectives<T>(out, n, c, seed++);
    compare_rows_of_their_own<T>(out, n, c);
    compare_special_rows<T>(out, n, c);
  }
  return out;
}

/// The sentence that @p f throws.
template <class F>
std::string sentence(F&& f) {
  try {
    f();
  } catch (const std::exception& e) {
    return e.what();
  }
  return "nothing was thrown";
}

/// Whatever is wrong with a batch, a device says it in the host's words, at once or when asked.
template <class T>
complaints compare_errors(std::size_t n, std::size_t c) {
  complaints out;
  const T nan = std::numeric_limits<T>::quiet_NaN();
  const auto kl = lk::at_temperature(4.0, lk::forward_kl{}) + lk::cross_entropy{};
  const std::vector<std::pair<std::string, std::function<void(batch<T>&)>>> faults = {
      {"student nan", [&](batch<T>& b) { b.student[2 * c + 3] = nan; }},
      {"teacher +inf", [&](batch<T>& b) { b.teacher[3 * c + c - 1] = infinity<T>; }},
      {"the lowest row", [&](batch<T>& b) { b.teacher[4 * c] = nan, b.student[2 * c] = nan; }},
      {"all masked", [&](batch<T>& b) { std::fill_n(b.student.begin() + static_cast<std::ptrdiff_t>(c), c, -infinity<T>); }},
      {"label", [&](batch<T>& b) { b.labels[4] = static_cast<int>(c); }},
      {"negative label", [&](batch<T>& b) { b.labels[0] = -1; }},
  };
  for (const auto& [name, spoil] : faults) {
    auto b = random_batch<T>(n, c);
    spoil(b);
    device_batch<T> d(b);
    std::vector<T> g(b.size());
    lk::workspace ws;
    lk::device_workspace dws;
    const std::string host =
        sentence([&] { (void)kl(b.s(), b.t(), b.labels, lk::unread_is_fine, lk::into(lk::rows<T>(g.data(), n, c)), ws); });
    const std::string device = sentence([&] { (void)kl(d.s(), d.t(), d.labels, lk::unread_is_fine, lk::into(d.g()), dws); });
    if (host != device) out.push_back(name + ": \"" + host + "\" on the host, \"" + device + "\" on the device");

    // found in stream order: what comes after the call does not matter
    lk::device_result result;
    kl(d.s(), d.t(), d.labels, lk::unread_is_fine, lk::into(d.g()), dws, lk::deferred(result));
    thrust::fill(d.student.begin(), d.student.end(), T(0));
    const std::string later = sentence([&] { (void)result.get(); });
    if (host != later) out.push_back(name + ", deferred: \"" + host + "\" on the host, \"" + later + "\" on the device");
  }

  // features refuse what logits may have
  const auto features = 0.5 * lk::l1{} + lk::forward_kl{};
  const std::vector<T> w = random_batch<T>(n, c, 7).student;
  const auto dw = to_device(w);
  const lk::rows<const T> weights(w.data(), n, c);
  const lk::device_rows<const T> device_weights = lk::on_device(dw, n, c);
  const auto weighed = lk::objective{lk::element_weights(weights, lk::l1{})};
  const auto device_weighed = lk::objective{lk::element_weights(device_weights, lk::l1{})};
  for (const int side : {0, 1, 2, 3}) {
    auto odd = random_batch<T>(n, c);
    if (side & 1) odd.student[2 * c + 3] = odd.student[3 * c] = -infinity<T>;
    if (side & 2) odd.teacher[2 * c + 3] = -infinity<T>;
    device_batch<T> d(odd);
    lk::workspace ws;
    lk::device_workspace dws;
    if (side == 0) {
      if (!near<T>(weighed.value(odd.s(), odd.t(), ws), device_weighed.value(d.s(), d.t(), dws), 10, 64))
        out.push_back("element weights differ");
      continue;
    }
    const auto check = [&](const auto& objective, const auto& on_device) {
      const std::string host = sentence([&] { (void)objective.value(odd.s(), odd.t(), ws); });
      const std::string device = sentence([&] { (void)on_device.value(d.s(), d.t(), dws); });
      const std::string who = side & 1 ? "student" : "teacher";
      if (host != device || host.find(who + " is -inf at row 2, column 3") == std::string::npos)
        out.push_back("features: \"" + host + "\" on the host, \"" + device + "\" on the device");
    };
    check(features, features);
    check(weighed, device_weighed);
  }

  // numbers of rows
  const auto b = random_batch<T>(n, c);
  device_batch<T> d(b);
  lk::workspace ws;
  lk::device_workspace dws;
  const auto rowwise = lk::at_temperature(lk::per_row{}, lk::forward_kl{});
  for (const double bad : {0.0, -1.0, static_cast<double>(nan)}) {
    std::vector<double> v(n, 1);
    v[n - 2] = bad;
    const auto dv = to_device(v);
    const std::string host = sentence([&] { (void)rowwise.value(b.s(), b.t(), lk::row_temperatures(v), ws); });
    const std::string device = sentence([&] { (void)rowwise.value(d.s(), d.t(), lk::row_temperatures(dv), dws); });
    if (host != device) out.push_back("row temperature: \"" + host + "\", \"" + device + "\"");
    const std::string host_weight = sentence([&] { (void)kl.value(b.s(), b.t(), b.labels, lk::unread_is_fine, lk::row_weights(v), ws); });
    const std::string weight = sentence([&] { (void)kl.value(d.s(), d.t(), d.labels, lk::unread_is_fine, lk::row_weights(dv), dws); });
    if (host_weight != weight) out.push_back("row weight: \"" + host_weight + "\", \"" + weight + "\"");
  }
  const std::vector<float> zeros(n, 0.0f);
  const auto dz = to_device(zeros);
  const std::string host = sentence([&] { (void)kl.value(b.s(), b.t(), b.labels, lk::unread_is_fine, lk::row_weights(zeros), ws); });
  const std::string device = sentence([&] { (void)kl.value(d.s(), d.t(), d.labels, lk::unread_is_fine, lk::row_weights(dz), dws); });
  if (host != device || host.find("sum to 0") == std::string::npos)
    out.push_back("weights of 0: \"" + host + "\", \"" + device + "\"");

  // probabilities
  std::vector<T> p(b.size(), T(0.1));
  p[3 * c + 1] = T(-0.5);
  const auto dp = to_device(p);
  const auto ce = lk::objective(lk::cross_entropy{});
  const std::string host_soft =
      sentence([&] { (void)ce.value(b.s(), lk::soft_labels(lk::rows<const T>(p.data(), n, c)), ws); });
  const std::string soft = sentence([&] { (void)ce.value(d.s(), lk::soft_labels(lk::on_device(dp, n, c)), dws); });
  if (host_soft != soft) out.push_back("soft labels: \"" + host_soft + "\", \"" + soft + "\"");
  return out;
}

/// Deferred results: the same numbers, one result after another, the loss in device memory.
template <class T>
complaints compare_deferred(std::size_t n, std::size_t c) {
  complaints out;
  const auto objective = lk::at_temperature(4.0, lk::forward_kl{}) + 0.1 * lk::cross_entropy{};
  const auto a = random_batch<T>(n, c, 21), b = random_batch<T>(n, c, 22);
  device_batch<T> da(a), db(b);
  lk::device_workspace ws;
  lk::device_result first, second;
  if (sentence([&] { (void)first.get(); }) != "limbeck: no call has been deferred to this device_result")
    out.push_back("get() before any call");
  objective(da.s(), da.t(), da.labels, lk::into(da.g()), ws, lk::deferred(first));
  objective(db.s(), db.t(), db.labels, lk::into(db.g()), ws, lk::deferred(second));
  const auto ga = to_host(da.gradient);
  const lk::evaluation ea = first.get(), eb = second.get();
  const auto on_device = thrust::device_pointer_cast(const_cast<double*>(first.loss()));
  const double loss = *on_device;
  if (!same_bits(loss, ea.loss)) out.push_back("loss() is not the loss");
  const auto again = objective(da.s(), da.t(), da.labels, lk::into(da.g()), ws);
  if (!same_bits(again.loss, ea.loss) || !same_bits(ga, to_host(da.gradient)))
    out.push_back("deferred and immediate calls differ");
  if (same_bits(ea.loss, eb.loss)) out.push_back("two results are one");
  objective.value(db.s(), db.t(), db.labels, ws, lk::deferred(first));
  if (!near<T>(first.get().loss, eb.loss, std::abs(eb.loss), 4)) out.push_back("a deferred value differs");

  // moved, it still knows
  lk::device_result moved = std::move(second);
  if (!same_bits(moved.get().loss, eb.loss)) out.push_back("a moved result differs");
  return out;
}

}  // namespace limbeck_test

#endif
