// Calls on tensors whose type is known at run time: the same bits as the calls that they become.

#include "batch.hpp"
#include "catch.hpp"

#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;
using namespace limbeck_test;
using Catch::Matchers::Contains;

namespace {

template <class T>
lk::any_tensor any(std::vector<T>& x, std::vector<std::ptrdiff_t> shape) {
  return {x.data(), lk::element_type_of<T>, shape, false};
}

template <class T>
void check_calls() {
  auto b = random_batch<T>(9, 21);
  std::vector<T> g(b.size()), h(b.size()), losses(9), expected_losses(9);
  std::vector<double> weights(9, 0.5);
  weights[3] = 2;
  const auto s = any(b.student, {9, 21}), t = any(b.teacher, {9, 21}), y = any(b.labels, {9});
  const auto into = lk::into(any(g, {9, 21}));
  const lk::rows<T> plain(h.data(), 9, 21);
  const auto same = [&](const lk::evaluation& mine, const lk::evaluation& expected) {
    CHECK(same_bits(mine.loss, expected.loss));
    CHECK(mine.rows == expected.rows);
    CHECK(g == h);
  };
  lk::workspace ws;
  const lk::progress at(1, 10);
  const auto both = lk::linear(0.5, 1) * lk::cross_entropy{} + lk::at_temperature(4.0, lk::forward_kl{});
  same(both(s, t, y, into, ws, at), both(b.s(), b.t(), b.labels, lk::into(plain), at));
  same(both(s, b.t(), y, into, at), both(b.s(), b.t(), b.labels, lk::into(plain), at));     // a teacher whose type is known
  same(both(s, t, b.labels, into, at), both(b.s(), b.t(), b.labels, lk::into(plain), at));  // labels whose type is known
  same(both(b.s(), t, y, lk::into(plain), at), both(b.s(), b.t(), b.labels, into, at));     // a student whose type is known
  const auto mixed = lk::mean_of_logits(b.t(), b.t());
  same(both(s, mixed, y, into, at), both(b.s(), mixed, b.labels, lk::into(plain), at));
  same(both(s, t, y, lk::row_weights(any(weights, {9})), lk::row_losses(any(losses, {9})), into, at),
       both(b.s(), b.t(), b.labels, lk::row_weights(weights), lk::row_losses(expected_losses), lk::into(plain),
            at));
  CHECK(losses == expected_losses);
  CHECK(both.value(s, t, y, at) == both.value(b.s(), b.t(), b.labels, at));
  CHECK(both.report(s, t, y, at).terms()[1].value == both.report(b.s(), b.t(), b.labels, at).terms()[1].value);
  if constexpr (std::is_same_v<T, float>) {  // a kernel of its own each
    const lk::objective kl{lk::forward_kl{}};
    same(kl(s, t, into), kl(b.s(), b.t(), lk::into(plain)));
    const lk::objective ce{lk::cross_entropy{}};
    same(ce(s, y, into), ce(b.s(), b.labels, lk::into(plain)));
    const auto sure = (lk::of_teacher(lk::confidence{}) > 0.5) * lk::cross_entropy{};  // the signal reads the teacher
    same(sure(s, t, y, into), sure(b.s(), b.t(), b.labels, lk::into(plain)));
    const lk::objective whole{lk::rkd_distance{}};
    same(whole(s, t, into), whole(b.s(), b.t(), lk::into(plain)));
  }
}

}  // namespace

TEST_CASE("run-time tensors: every form of a call", "[run_time]") {
  check_calls<float>();
  check_calls<double>();
}

TEST_CASE("run-time tensors: what does not fit is named", "[run_time]") {
  auto b = random_batch<float>(4, 5);
  auto wide = random_batch<double>(4, 5);
  std::vector<float> g(20);
  const auto s = any(b.student, {4, 5}), t = any(b.teacher, {4, 5}), y = any(b.labels, {4});
  const auto both = lk::cross_entropy{} + lk::forward_kl{};
  const auto into = lk::into(any(g, {4, 5}));
  CHECK_THROWS_WITH(both(y, t, y, into), Contains("limbeck: student is int32 [4], expected float32, float64, float16 or bfloat16"));
  CHECK_THROWS_WITH(both(s, y, t, into), Contains("limbeck: teacher is int32 [4], expected float32"));
  CHECK_THROWS_WITH(both(s, t, t, into), "limbeck: labels is float32 [4, 5], expected whole numbers");
  CHECK(both(any(wide.student, {4, 5}), t, y, into).loss == both(wide.s(), b.t(), b.labels, into).loss);  // types may differ
  CHECK(both(any(wide.student, {4, 5}), b.t(), y, into).loss == both(wide.s(), b.t(), b.labels, into).loss);
  std::vector<float> losses(4);
  CHECK_THROWS_WITH(both(any(wide.student, {4, 5}), b.t(), y, into, lk::row_losses(losses)),
                    "limbeck: student is float64 [4, 5], expected float32");
  auto constant = any(g, {4, 5});
  constant.read_only = true;
  CHECK_THROWS_WITH(both(s, t, y, lk::into(constant)), Contains("gradient is float32 [4, 5] and read-only"));
}

TEST_CASE("pictures name the dimension of their classes", "[objective][run_time]") {
  // one picture, 3 classes at 2 x 4 pixels: pixels are samples, in the order of their labels
  std::vector<float> s(24), t(24), g(24), rows_s(24), rows_t(24), rows_g(24);
  for (std::size_t i = 0; i < 24; ++i) {
    s[i] = static_cast<float>(i % 7), t[i] = static_cast<float>(i * i % 5);
    rows_s[i % 8 * 3 + i / 8] = s[i], rows_t[i % 8 * 3 + i / 8] = t[i];
  }
  std::vector<int> y{0, 1, 2, 0, 1, 2, 0, 1};
  const auto both = lk::cross_entropy{} + lk::forward_kl{};
  auto picture = any(s, {1, 3, 2, 4}), taught = any(t, {1, 3, 2, 4}), slope = any(g, {1, 3, 2, 4}), labels = any(y, {1, 2, 4});
  const double loss = both(lk::classes_at(1, picture), lk::classes_at(1, taught), labels, lk::into(lk::classes_at(1, slope)));
  CHECK(loss == both(lk::rows<const float>(rows_s.data(), 8, 3), lk::rows<const float>(rows_t.data(), 8, 3), y,
                     lk::into(lk::rows<float>(rows_g.data(), 8, 3)))
                    .loss);
  for (std::size_t i = 0; i < 24; ++i) CHECK(g[i] == rows_g[i % 8 * 3 + i / 8]);

  CHECK_THROWS_WITH(both.value(picture, taught, labels), Contains("which dimension holds the classes? classes_at(1, tensor)"));
  CHECK_THROWS_WITH(lk::classes_at(4, picture), Contains("whose dimensions are 0 to 3"));
  // two pictures: two strides between rows; three are one too many
  const auto two = any(s, {2, 3, 2, 2}), of_two = any(t, {2, 3, 2, 2});
  double by_picture = 0;
  for (std::ptrdiff_t i = 0; i < 2; ++i) {
    const auto one = [&](std::vector<float>& x) { return lk::rows<const float>(x.data() + 12 * i, 4, 3, 1, 4); };
    by_picture += both.value(one(s), one(t), std::vector<int>(y.begin() + 4 * i, y.begin() + 4 * i + 4)) / 2;
  }
  const auto of_pixels = any(y, {2, 2, 2});
  CHECK(both.value(lk::classes_at(1, two), lk::classes_at(1, of_two), of_pixels) == Approx(by_picture));
  auto unnamed = any(s, {2, 2, 2, 3});  // the same, turned by hand: its classes have no name
  unnamed.strides = {12, 2, 1, 4};
  CHECK_THROWS_WITH(both.value(unnamed, unnamed, of_pixels), Contains("which dimension holds the classes?"));
  auto odd = any(s, {2, 2, 2, 3});
  odd.strides = {12, 5, 1, 2};
  odd.named_classes = true;
  CHECK_THROWS_WITH(both.value(odd, odd, of_pixels), Contains("part by part (picture by picture)"));
}

TEST_CASE("labels have the dimensions of the logits before the classes", "[objective][run_time]") {
  std::vector<float> s(24), t(24);
  std::vector<int> y(6);
  const auto both = lk::cross_entropy{} + lk::forward_kl{};
  const auto logits = any(s, {2, 3, 4}), taught = any(t, {2, 3, 4});
  CHECK_NOTHROW(both.value(logits, taught, any(y, {2, 3})));
  CHECK_NOTHROW(both.value(logits, taught, any(y, {6})));
  CHECK_THROWS_WITH(both.value(logits, taught, any(y, {3, 2})),
                    Contains("labels is int32 [3, 2], and student is float32 [2, 3, 4], expected the dimensions before the classes"));
}
