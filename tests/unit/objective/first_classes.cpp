// The first classes of wider rows, and gradients of the whole tensor.

#include "batch.hpp"
#include "catch.hpp"

#include <limbeck/limbeck.hpp>

#include <algorithm>

namespace lk = limbeck;
using namespace limbeck_test;

namespace {

/// @p x with @p more columns of nonsense behind its own.
template <class T>
std::vector<T> padded(const std::vector<T>& x, std::size_t classes, std::size_t more) {
  std::vector<T> out;
  for (std::size_t i = 0; i < x.size(); ++i) {
    out.push_back(x[i]);
    if (i % classes == classes - 1)
      for (std::size_t k = 0; k < more; ++k) out.push_back(k % 2 ? T(40) : std::numeric_limits<T>::quiet_NaN());
  }
  return out;
}
const auto objective = 0.3 * lk::cross_entropy{} + lk::at_temperature(2.0, lk::forward_kl{});

template <class T, class E>
void check_padded(const std::vector<T>& got, const E& expected, std::size_t classes, std::size_t more) {
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const std::size_t r = i / (classes + more), c = i % (classes + more);
    if (got[i] != (c < classes ? expected[r * classes + c] : T(0))) ++wrong;
  }
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("first_classes: student, teacher and gradient of wider rows, and no copy") {
  const std::size_t n = 9, more = 4;
  for (const std::size_t classes : {3u, 17u, 64u}) {
    const auto b = random_batch<float>(n, classes);
    const auto student = padded(b.student, classes, more), teacher = padded(b.teacher, classes, more);
    const lk::rows<const float> s(student.data(), n, classes + more), t(teacher.data(), n, classes + more);
    std::vector<float> narrow(n * classes), wide(student.size(), 7);
    const double expected =
        objective(b.s(), b.t(), b.labels, lk::into(lk::rows<float>(narrow.data(), n, classes))).loss;
    lk::workspace ws;
    const auto into = lk::rows<float>(wide.data(), n, classes + more);
    CHECK(same_bits(expected, objective(lk::first_classes(classes, s), lk::first_classes(classes, t), b.labels,
                                        lk::into(lk::first_classes(classes, into)), ws)
                                  .loss));
    check_padded(wide, narrow, classes, more);
    // one side alone
    CHECK(same_bits(expected, objective.value(b.s(), lk::first_classes(classes, t), b.labels)));
    // a gradient of the width of the view is one, too
    std::vector<float> fitting(narrow.size());
    objective(lk::first_classes(classes, s), b.t(), b.labels, lk::into(lk::rows<float>(fitting.data(), n, classes)));
    CHECK(same_bits(fitting, narrow));
    // the call's own gradient is that of the tensor
    const auto [loss, gradient] = objective(lk::first_classes(classes, s), b.t(), b.labels);
    CHECK(same_bits(loss, expected));
    check_padded(gradient, narrow, classes, more);
    // added: what stands behind is left
    std::fill(wide.begin(), wide.end(), 1.0F);
    objective(lk::first_classes(classes, s), b.t(), b.labels, lk::add_to(lk::first_classes(classes, into)));
    for (std::size_t r = 0; r < n; ++r) {
      CHECK(into(r, 1) == 1 + narrow[r * classes + 1]);
      CHECK(into(r, classes + 1) == 1);
    }
  }
}

TEST_CASE("first_classes: transposed, in 16 bits, of run-time type, by name and in a report") {
  const std::size_t n = 6, classes = 5, more = 3;
  const auto b = random_batch<float>(n, classes);
  std::vector<float> narrow(n * classes);
  const double expected = objective(b.s(), b.t(), b.labels, lk::into(lk::rows<float>(narrow.data(), n, classes))).loss;
  const auto student = padded(b.student, classes, more), teacher = padded(b.teacher, classes, more);
  const std::size_t width = classes + more;

  std::vector<float> columns(student.size()), slope(student.size(), 3);
  for (std::size_t r = 0; r < n; ++r)
    for (std::size_t c = 0; c < width; ++c) columns[c * n + r] = student[r * width + c];
  const auto transposed = lk::rows<const float>(columns.data(), width, n).transposed();
  CHECK(objective(lk::first_classes(classes, transposed), b.t(), b.labels,
                  lk::into(lk::first_classes(classes, lk::rows<float>(slope.data(), width, n).transposed())))
            .loss == Approx(expected));
  for (std::size_t r = 0; r < n; ++r)
    for (std::size_t c = 0; c < width; ++c)
      CHECK(slope[c * n + r] == (c < classes ? Approx(narrow[r * classes + c]).margin(1e-7) : Approx(0)));

  const std::vector<lk::bfloat16> half(teacher.begin(), teacher.end());
  std::vector<lk::bfloat16> halves(student.size(), lk::bfloat16(9.0F));
  objective(lk::first_classes(classes, lk::rows<const float>(student.data(), n, width)),
            lk::first_classes(classes, lk::rows<const lk::bfloat16>(half.data(), n, width)), b.labels,
            lk::into(lk::first_classes(classes, lk::rows<lk::bfloat16>(halves.data(), n, width))));
  for (std::size_t i = 0; i < halves.size(); ++i)
    if (i % width >= classes) CHECK(static_cast<float>(halves[i]) == 0);

  const std::ptrdiff_t shape[] = {2, 3, static_cast<std::ptrdiff_t>(width)};
  const lk::any_tensor s(student.data(), lk::element_type::float32, shape),
      t(teacher.data(), lk::element_type::float32, shape);
  std::vector<float> wide(student.size(), 7);
  const lk::any_tensor g(wide.data(), lk::element_type::float32, shape, false);
  CHECK(same_bits(expected, objective(lk::first_classes(classes, s), lk::first_classes(classes, t), b.labels,
                                      lk::into(lk::first_classes(classes, g)))
                                .loss));
  check_padded(wide, narrow, classes, more);

  std::fill(wide.begin(), wide.end(), 7.0F);
  std::vector<float> unread(student.size(), 7);
  const lk::rows<const float> rows(student.data(), n, width);
  const auto view = [&](std::vector<float>& x) {
    return lk::first_classes(classes, lk::rows<float>(x.data(), n, width));
  };
  const auto z = lk::first_classes(classes, rows),
             u = lk::first_classes(classes, lk::rows<const float>(teacher.data(), n, width));
  auto a = view(wide), c = view(unread);
  lk::outputs gradients{lk::output<"logits">(a), lk::output<"other">(c)};
  const double named = objective(lk::outputs{lk::output<"logits">(z), lk::output<"other">(z)},
                                 lk::outputs{lk::output<"logits">(u)}, b.labels, lk::into(gradients))
                           .loss;
  CHECK(same_bits(named, expected));
  check_padded(wide, narrow, classes, more);
  CHECK(std::all_of(unread.begin(), unread.end(), [](float x) { return x == 0; }));
  CHECK(objective.report(z, u, b.labels).total() == Approx(expected));
}

TEST_CASE("first_classes: what there is not, is refused") {
  const auto b = random_batch<double>(2, 5);
  const auto kl = lk::objective{lk::forward_kl{}};
  CHECK_THROWS_WITH(kl.value(lk::first_classes(6, b.s()), b.t()),
                    "limbeck: first_classes(6, ...) of a tensor of 5 classes");
  const std::ptrdiff_t extents[] = {2, 5};
  CHECK_THROWS_WITH(lk::classes_at(0, lk::first_classes(3, lk::any_tensor(b.student.data(), lk::element_type::float64, extents))),
                    Catch::Contains("first_classes(n, classes_at(axis, x))"));
  CHECK_THROWS_WITH(kl.value(lk::first_classes(0, b.s()), b.t()),
                    "limbeck: first_classes(0, ...) of a tensor of 5 classes");
  CHECK_THROWS_WITH(kl.value(lk::first_classes(4, b.s()), b.t()),
                    Catch::Contains("teacher has shape 2 x 5, expected 2 x 4"));
  CHECK_THROWS_AS(lk::objective{lk::cross_entropy{}}.value(lk::first_classes(2, b.s()), std::vector<int>{1, 2}),
                  lk::value_error);
  const std::ptrdiff_t shape[] = {2, 5};
  const lk::any_tensor s(b.student.data(), lk::element_type::float64, shape);
  CHECK_THROWS_AS(lk::first_classes(6, s), lk::shape_error);
}
