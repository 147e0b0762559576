// Tensors of 16 bits in device memory: computed with in float, as on the host; types of a call may differ.
#include "catch.hpp"
#include "device_cases.hpp"

using namespace limbeck_test;

namespace {

template <class S>
std::vector<S> rounded(const std::vector<float>& x) {
  std::vector<S> out(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) out[i] = S(x[i]);
  return out;
}

/// Apart by one step of numbers of 16 bits at most, where sums in another order round to the other side.
template <class S>
std::size_t apart(const std::vector<S>& host, const std::vector<S>& device) {
  const double step = std::is_same_v<S, lk::float16> ? 0x1p-10 : std::is_same_v<S, lk::bfloat16> ? 0x1p-7 : 0x1p-17;
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < host.size(); ++i) {
    const double a = static_cast<double>(host[i]), b = static_cast<double>(device[i]);
    wrong += !(a == b || std::abs(a - b) <= step * std::max(std::abs(a), std::abs(b)) + 0x1p-24);
  }
  return wrong;
}

/// A student, a teacher, and a gradient of three types, on both sides.
template <class Student, class Teacher, class Gradient>
void check(const auto& objective, std::size_t n, std::size_t c) {
  auto b = random_batch<float>(n, c, 5, 3);
  b.student[1] = -infinity<float>;
  const auto s = rounded<Student>(b.student);
  const auto t = rounded<Teacher>(b.teacher);
  std::vector<Gradient> g(b.size(), Gradient(0.5F));
  const auto ds = to_device(s);
  const auto dt = to_device(t);
  auto dg = to_device(g);
  const auto labels = to_device(b.labels);
  lk::workspace ws;
  lk::device_workspace dws;
  const lk::rows<const Student> hs(s.data(), n, c);
  const lk::rows<const Teacher> ht(t.data(), n, c);
  for (const bool add : {false, true}) {
    CAPTURE(n, c, add);
    const auto to = [&](auto&& x) { return add ? lk::add_to(x) : lk::into(x); };
    const auto host = objective(hs, ht, b.labels, to(lk::rows<Gradient>(g.data(), n, c)), ws);
    const auto device = objective(lk::on_device(ds, n, c), lk::on_device(dt, n, c), labels, to(lk::on_device(dg, n, c)), dws);
    complaints found;
    compare_evaluations<float>(found, "halves", host, device);
    for (const auto& x : found) UNSCOPED_INFO(x);
    CHECK(found.empty());
    CHECK(apart(g, to_host(dg)) == 0);
  }
}

}  // namespace

TEST_CASE("device: tensors of 16 bits, and of several types in one call", "[thrust][halves]") {
  const auto objective = 0.5 * lk::cross_entropy{} + lk::at_temperature(4.0, lk::reverse_kl{} + lk::jensen_shannon{});
  for (const std::size_t c : {3U, 40U, 333U}) {
    check<lk::bfloat16, lk::bfloat16, lk::bfloat16>(objective, 5, c);
    check<lk::float16, float, lk::float16>(objective, 5, c);
    check<lk::bfloat16, float, float>(objective, 4, c);
    check<float, lk::float16, lk::bfloat16>(objective, 4, c);
    check<double, lk::bfloat16, lk::float16>(objective, 3, c);
  }
}

TEST_CASE("device: the gradient that a call makes has the student's type", "[thrust][halves]") {
  const auto b = random_batch<float>(4, 20);
  const auto s = to_device(rounded<lk::bfloat16>(b.student)), t = to_device(rounded<lk::bfloat16>(b.teacher));
  const auto kl = lk::at_temperature(2.0, lk::forward_kl{});
  const auto made = kl(lk::on_device(s, 4, 20), lk::on_device(t, 4, 20));
  static_assert(std::is_same_v<std::remove_cvref_t<decltype(made.gradient)>, thrust::device_vector<lk::bfloat16>>);
  const std::vector<lk::bfloat16> hs = rounded<lk::bfloat16>(b.student), ht = rounded<lk::bfloat16>(b.teacher);
  const auto expected = kl(lk::rows<const lk::bfloat16>(hs.data(), 4, 20), lk::rows<const lk::bfloat16>(ht.data(), 4, 20));
  CHECK(made.loss == Approx(expected.loss));
  CHECK(apart(expected.gradient, to_host(made.gradient)) == 0);
  const auto report = kl.report(lk::on_device(s, 4, 20), lk::on_device(t, 4, 20));
  CHECK(report.terms()[0].value == Approx(expected.loss));
}

TEST_CASE("device: faults of 16 bits are named as on the host", "[thrust][halves]") {
  auto b = random_batch<float>(4, 20);
  b.student[2 * 20 + 7] = infinity<float>;
  const auto hs = rounded<lk::float16>(b.student);
  const auto s = to_device(hs), t = to_device(rounded<lk::float16>(b.teacher));
  const lk::objective kl{lk::forward_kl{}};
  CHECK_THROWS_WITH(kl.value(lk::on_device(s, 4, 20), lk::on_device(t, 4, 20)),
                    "limbeck: student is inf at row 2, class 7; logits are finite, or -inf for a masked class");
}
