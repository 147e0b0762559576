#ifndef LIMBECK_TESTS_SUPPORT_COMPOSED_CASES_HPP
#define LIMBECK_TESTS_SUPPORT_COMPOSED_CASES_HPP

// What composes on the host composes on a device: targets, rowwise losses, sparse teachers, tops, deviations and signals as
// temperatures, in one call, beside others. No test framework: see device_cases.hpp.

#include "device_cases.hpp"

#include <limbeck/targets.hpp>

namespace limbeck_test {

/// One objective with one teacher on both sides. @p teacher and @p more take what makes a tensor of a vector where it lives:
/// `in(vector, samples, classes)`, and `vector(v)`.
template <class T>
struct composed {
  complaints& out;
  batch<T> b;
  std::vector<T> other, third;  // more teachers
  std::vector<float> weights;

  composed(complaints& found, std::size_t n, std::size_t c) : out(found), b(random_batch<T>(n, c, 41, 3)) {
    other = random_batch<T>(n, c, 42, 3).teacher;
    third = random_batch<T>(n, c + 3, 43, 3).teacher;
    b.labels[0] = -100;
    for (std::size_t r = 0; r < n; ++r) weights.push_back(static_cast<float>((r + 1) % 3) * 0.5F);
  }

  struct on_host {
    const composed& all;
    auto in(const std::vector<T>& v, std::size_t classes) const { return lk::rows<const T>(v.data(), all.b.samples, classes); }
    auto first() const { return all.b.t(); }
    auto second() const { return in(all.other, all.b.classes); }
    auto wide() const { return in(all.third, all.b.classes + 3); }
    const lk::sparse_store<T>& sparse(const lk::sparse_store<T>& x) const { return x; }
  };
  struct on_the_device {
    const composed& all;
    thrust::device_vector<T> t, u, w;
    explicit on_the_device(const composed& c) : all(c), t(to_device(c.b.teacher)), u(to_device(c.other)), w(to_device(c.third)) {}
    auto first() const { return lk::on_device(t, all.b.samples, all.b.classes); }
    auto second() const { return lk::on_device(u, all.b.samples, all.b.classes); }
    auto wide() const { return lk::on_device(w, all.b.samples, all.b.classes + 3); }
    auto sparse(const lk::sparse_store<T>& x) const { return lk::device_sparse_rows<T>(x); }
  };

  /// @p make_objective of a side, @p make_teacher of a side.
  template <class Objective, class Teacher>
  void operator()(const std::string& name, const Objective& make_objective, const Teacher& make_teacher) const {
    const std::size_t n = b.samples, c = b.classes;
    const on_host host_side{*this};
    const on_the_device device_side(*this);
    device_batch<T> d(b);
    const auto dw = to_device(weights);
    lk::workspace ws;
    lk::device_workspace dws;
    for (const bool add : {false, true}) {
      std::vector<T> g(b.size(), T(0.25));
      thrust::fill(d.gradient.begin(), d.gradient.end(), T(0.25));
      const auto host_objective = make_objective(host_side);
      const auto device_objective = make_objective(device_side);
      auto host_teacher = make_teacher(host_side);
      auto device_teacher = make_teacher(device_side);
      const lk::rows<T> into(g.data(), n, c);
      lk::evaluation host, device;
      if (add) {
        host = host_objective(b.s(), host_teacher, b.labels, lk::unread_is_fine, lk::row_weights(weights), lk::add_to(into), ws);
        device = device_objective(d.s(), device_teacher, d.labels, lk::unread_is_fine, lk::row_weights(dw), lk::add_to(d.g()), dws);
      } else {
        host = host_objective(b.s(), host_teacher, b.labels, lk::unread_is_fine, lk::row_weights(weights), lk::into(into), ws);
        device = device_objective(d.s(), device_teacher, d.labels, lk::unread_is_fine, lk::row_weights(dw), lk::into(d.g()), dws);
      }
      compare_evaluations<T>(out, at(name.c_str(), n, c), host, device, 128);
      compare_rows(out, at(name.c_str(), n, c), g, to_host(d.gradient), c, 256);
    }
  }
};

template <class T>
complaints compare_composed(std::size_t n, std::size_t c) {
  complaints out;
  const composed<T> call(out, n, c);
  const auto first = [](const auto& side) { return side.first(); };
  const auto always = [](const auto& objective) { return [=](const auto&) { return objective; }; };
  const auto kl = lk::at_temperature(2.0, lk::forward_kl{});
  const auto both = kl + 0.5 * lk::cross_entropy{};
  call("two teachers, the surer counts more", always(both), [](const auto& side) {
    return lk::mean_of_probabilities(side.first(), side.second()).weighted(lk::confidence_weights{}).at_temperature(2.0);
  });
  call("between student and teacher", always(lk::objective(kl)),
       [](const auto& side) { return lk::interpolated(side.second(), 0.4); });
  call("whole rows", always(both + lk::at_temperature(3.0, lk::margin_mse{} + lk::label_pairs{}) + 0.3 * lk::pld{} + 0.2 * lk::bild{.k = 5} + 0.1 * lk::reranked{}), first);
  call("widths that differ", always(lk::at_temperature(2.0, lk::uld{}) + lk::cross_entropy{}),
       [](const auto& side) { return side.wide(); });
  call("whole rows of a target", always(lk::uld{} + kl),
       [](const auto& side) { return lk::mean_of_logits(side.first(), side.second()); });
  const auto store = lk::keep_top(lk::rows<const T>(call.other.data(), n, c), 2, 2.0);
  {
    const lk::device_sparse_rows<T> on_device(store);
    const auto sparse = [&](const auto& side) {
      if constexpr (requires { side.in(call.other, 1); }) {
        return lk::at_temperature(2.0, lk::sparse_kl(store)) + kl;
      } else {
        return lk::at_temperature(2.0, lk::sparse_kl(on_device)) + kl;
      }
    };
    call("a sparse teacher", sparse, first);
  }
  call("tops", always(lk::at_temperature(2.0, lk::on<lk::top_of_teacher<2>>(lk::forward_kl{}) +
                                                  lk::on<lk::top_of_teacher_and_rest<2>>(lk::reverse_kl{}))),
       first);
  call("deviations", always(lk::at_temperature(lk::standardized(1.5), lk::forward_kl{}) + lk::mse{}), first);
  const auto by_entropy = always(lk::at_temperature(1 + lk::of_teacher(lk::entropy{}), lk::forward_kl{}));
  call("a signal as a temperature", by_entropy, first);
  call("a signal of a target as a temperature", by_entropy,
       [](const auto& side) { return lk::mean_of_logits(side.first(), side.second()); });
  {  // a micro-batch whose rows all have weight 0
    device_batch<T> d(call.b);
    const std::vector<float> zeros(n, 0.0F);
    const auto device_zeros = to_device(zeros);
    lk::workspace ws;
    lk::device_workspace dws;
    const double host = kl.value(call.b.s(), call.b.t(), lk::row_weights(zeros), lk::mean_over(7), ws);
    const double device = kl.value(d.s(), d.t(), lk::row_weights(device_zeros), lk::mean_over(7), dws);
    if (host != 0 || device != 0) out.push_back("a part of weight 0 has a loss");
  }
  return out;
}

}  // namespace limbeck_test

#endif
