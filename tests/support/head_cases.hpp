#ifndef LIMBECK_TESTS_SUPPORT_HEAD_CASES_HPP
#define LIMBECK_TESTS_SUPPORT_HEAD_CASES_HPP

// Heads in device memory against heads on the host. No test framework, as device_cases.hpp.

#include "device_cases.hpp"

namespace limbeck_test {

/// Normal numbers, rounded to S.
template <class S>
std::vector<S> random_numbers(std::size_t n, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<S> x(n);
  for (S& v : x) v = static_cast<S>(normal(random));
  return x;
}

/// Hidden states of S, weights of W.
template <class S, class W>
struct head_batch {
  using T = lk::arithmetic_of_t<S>;
  std::size_t samples, classes, width, teacher_width = 2;
  std::vector<S> h, ht;
  std::vector<W> w, wt;
  std::vector<T> b;
  std::vector<int> labels;
  std::vector<float> weights;

  head_batch(std::size_t n, std::size_t c, std::size_t k)
      : samples(n), classes(c), width(k), h(random_numbers<S>(n * k, 1)), ht(random_numbers<S>(n * teacher_width, 2)),
        w(random_numbers<W>(c * k, 3)), wt(random_numbers<W>(c * teacher_width, 4)), b(random_numbers<T>(c, 5)), labels(n), weights(n) {
    for (std::size_t r = 0; r < n; ++r) {
      labels[r] = r % 7 == 2 || r < 3 ? -100 : static_cast<int>(r * 37 % c);
      weights[r] = r % 41 == 11 ? 0.0F : 0.5F + static_cast<float>(r % 5);
      if (labels[r] < 0) h[r * k] = S(std::numeric_limits<float>::quiet_NaN());  // nobody looks at these
    }
  }
};

template <class S, class W>
struct device_head_batch {
  std::size_t n, c, k, kt;
  thrust::device_vector<S> h, ht, dh;
  thrust::device_vector<W> w, wt;
  thrust::device_vector<lk::arithmetic_of_t<S>> b, dw, db;
  thrust::device_vector<int> labels;
  thrust::device_vector<float> weights;
  explicit device_head_batch(const head_batch<S, W>& x)
      : n(x.samples), c(x.classes), k(x.width), kt(x.teacher_width), h(to_device(x.h)), ht(to_device(x.ht)), dh(x.h.size()),
        w(to_device(x.w)), wt(to_device(x.wt)), b(to_device(x.b)), dw(x.w.size()), db(x.b.size()), labels(to_device(x.labels)),
        weights(to_device(x.weights)) {}
  auto student() const { return lk::logits_of(lk::on_device(h, n, k), lk::on_device(w, c, k), b); }
  auto teacher() const { return lk::logits_of(lk::on_device(ht, n, kt), lk::on_device(wt, c, kt)); }
  auto gradients() { return lk::head_gradient(lk::on_device(dh, n, k), lk::on_device(dw, c, k), db); }
};

/// Apart by @p step of the largest.
template <class A>
void compare_whole(complaints& out, const std::string& name, const std::vector<A>& host, const std::vector<A>& device, double step) {
  double most = 0, apart = 0;
  for (std::size_t i = 0; i < host.size(); ++i) {
    const double a = static_cast<double>(host[i]), b = static_cast<double>(device[i]);
    most = std::max(most, std::abs(a));
    apart = std::max(apart, a == b ? 0 : std::abs(a - b) == std::abs(a - b) ? std::abs(a - b) : infinity<double>);
  }
  if (!(apart <= step * most)) out.push_back(name + ": apart by " + std::to_string(apart) + " of " + std::to_string(most));
}

template <class S, class W>
complaints compare_heads(std::size_t n, std::size_t c, std::size_t k) {
  using T = lk::arithmetic_of_t<S>;
  complaints out;
  const head_batch<S, W> x(n, c, k);
  device_head_batch<S, W> d(x);
  const std::size_t kt = x.teacher_width;
  const double close = sizeof(T) == 8 ? 1e-12 : 2e-5, of_hidden = sizeof(S) == 2 ? 0x1p-7 : close;
  std::vector<S> dh(x.h.size());
  std::vector<T> dw(x.w.size()), db(x.b.size()), losses(n);
  thrust::device_vector<T> device_losses(n);
  const auto student = lk::logits_of(lk::rows<const S>(x.h.data(), n, k), lk::rows<const W>(x.w.data(), c, k), x.b);
  const auto teacher = lk::logits_of(lk::rows<const S>(x.ht.data(), n, kt), lk::rows<const W>(x.wt.data(), c, kt));
  const auto gradients = lk::head_gradient(lk::rows<S>(dh.data(), n, k), lk::rows<T>(dw.data(), c, k), db);
  const auto objective = 0.3 * lk::cross_entropy{} + lk::at_temperature(2.0, lk::given(x.weights) * lk::forward_kl{});
  const auto on_device = 0.3 * lk::cross_entropy{} + lk::at_temperature(2.0, lk::given(d.weights) * lk::forward_kl{});
  lk::workspace ws;
  lk::device_workspace dws;
  for (const bool add : {false, true}) {
    const std::string name = at(add ? "added heads" : "heads", n, c);
    const auto to = [&](const auto& g) { return add ? lk::add_to(g) : lk::into(g); };
    const auto host = objective(student, teacher, x.labels, lk::row_weights(x.weights), lk::row_losses(losses), to(gradients), ws);
    const auto device = on_device(d.student(), d.teacher(), d.labels, lk::row_weights(d.weights), lk::row_losses(device_losses),
                                  to(d.gradients()), dws);
    compare_evaluations<T>(out, name, host, device, sizeof(T) == 8 ? 1e4 : 64);
    compare_whole(out, name + ", losses", losses, to_host(device_losses), close);
    compare_whole(out, name + ", hidden", dh, to_host(d.dh), of_hidden);
    compare_whole(out, name + ", weights", dw, to_host(d.dw), 8 * close);
    compare_whole(out, name + ", bias", db, to_host(d.db), 8 * close);
  }
  const auto call = [&](auto&&... more) { return on_device(d.student(), d.teacher(), d.labels, lk::row_weights(d.weights), more...); };
  const double value = call(lk::into(d.gradients()), dws).loss;
  const auto bits = to_host(d.dw);
  const std::size_t held = dws.size();

  // nobody waits, for the same bits; a gradient may be left out
  lk::device_result later;
  call(lk::into(lk::head_gradient(nullptr, lk::on_device(d.dw, c, k))), dws, lk::deferred(later));
  if (!same_bits(later.get().loss, value) || !same_bits(to_host(d.dw), bits) || dws.size() != held)
    out.push_back(at("deferred heads differ", n, c));
  if (!near<T>(on_device.value(d.student(), d.teacher(), d.labels, lk::row_weights(d.weights), dws), value, value, 64))
    out.push_back(at("the value of heads differs", n, c));

  // a row of a later chunk finds its own data
  const auto logits = random_batch<T>(n, c, 61, 2);
  const auto store = lk::keep_top(logits.t(), 2, 2.0);
  const lk::device_sparse_rows<T> kept(store);
  const auto sparse = lk::at_temperature(2.0, lk::sparse_kl(store));
  const auto sparse_there = lk::at_temperature(2.0, lk::sparse_kl(kept));
  const double host_sparse = sparse.value(student, x.labels, lk::unread_is_fine, lk::row_weights(x.weights), ws);
  const double device_sparse = sparse_there.value(d.student(), d.labels, lk::unread_is_fine, lk::row_weights(d.weights), dws);
  if (!near<T>(host_sparse, device_sparse, host_sparse, sizeof(T) == 8 ? 1e4 : 1e3)) out.push_back(at("a sparse teacher of heads", n, c));

  // the last row is wrong, with its number
  auto spoilt = x;
  spoilt.labels[n - 1] = static_cast<int>(c);
  spoilt.weights[n - 1] = 1;
  const auto labels = to_device(spoilt.labels);
  const auto weights = to_device(spoilt.weights);
  const lk::objective ce{lk::cross_entropy{}};
  const std::string said = sentence([&] { (void)ce.value(student, spoilt.labels, lk::row_weights(spoilt.weights), ws); });
  const std::string said_there = sentence([&] { (void)ce.value(d.student(), labels, lk::row_weights(weights), dws); });
  if (said != said_there) out.push_back("\"" + said + "\" on the host, \"" + said_there + "\" on the device");
  return out;
}

/// Only one side a head; a report; nothing that counts, and nothing at all.
inline complaints compare_other_heads() {
  using T = double;
  complaints out;
  const std::size_t n = 40, c = 9, k = 3;
  const head_batch<T, T> x(n, c, k);
  device_head_batch<T, T> d(x);
  const auto b = random_batch<T>(n, c);
  device_batch<T> logits(b);
  const auto kl = lk::at_temperature(2.0, lk::forward_kl{}) + 0.5 * lk::mse{};
  lk::workspace ws;
  lk::device_workspace dws;
  const auto teacher = lk::logits_of(lk::rows<const T>(x.ht.data(), n, 2), lk::rows<const T>(x.wt.data(), c, 2));
  std::vector<T> g(n * c);
  const auto host = kl(b.s(), teacher, lk::into(lk::rows<T>(g.data(), n, c)), ws);
  const auto device = kl(logits.s(), d.teacher(), lk::into(logits.g()), dws);
  compare_evaluations<T>(out, "a teacher's head", host, device, 1e4);
  compare_whole(out, "a teacher's head", g, to_host(logits.gradient), 1e-12);
  const auto reports = [&](const auto& student, const auto& other, auto& memory) { return kl.report(student, other, memory); };
  const auto mine = reports(b.s(), teacher, ws), theirs = reports(logits.s(), d.teacher(), dws);
  for (std::size_t i = 0; i < 2; ++i)
    if (!near<T>(mine.terms()[i].gradient_norm, theirs.terms()[i].gradient_norm, mine.terms()[i].gradient_norm, 1e4))
      out.push_back("a report on heads differs");

  const thrust::device_vector<float> none(n, 0.0F);
  thrust::fill(d.dw.begin(), d.dw.end(), T(5));
  const std::string said =
      sentence([&] { (void)kl(d.student(), logits.t(), lk::row_weights(none), lk::into(d.gradients()), dws); });
  if (said.find("sum to 0") == std::string::npos) out.push_back("weights of 0: " + said);
  if (to_host(d.dw) != std::vector<T>(c * k)) out.push_back("a gradient of no row is not 0");
  thrust::fill(d.dw.begin(), d.dw.end(), T(5));
  const T* const h = thrust::raw_pointer_cast(d.h.data());
  const auto nothing = lk::logits_of(lk::device_rows<const T>(h, 0, k), lk::on_device(d.w, c, k));
  const T* const t = thrust::raw_pointer_cast(logits.teacher.data());
  if (kl(nothing, lk::device_rows<const T>(t, 0, c), lk::into(lk::head_gradient(nullptr, lk::on_device(d.dw, c, k))), dws).loss != 0 ||
      to_host(d.dw) != std::vector<T>(c * k))
    out.push_back("no row has a loss, or a gradient");
  return out;
}

}  // namespace limbeck_test

#endif
