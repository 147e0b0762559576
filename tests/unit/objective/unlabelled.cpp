// Rows without a label: the terms that need one are 0, the others count.

#include "catch.hpp"

#include <limbeck/limbeck.hpp>

#include <limits>
#include <vector>

namespace lk = limbeck;

namespace {

struct specimen {
  std::size_t samples = 6, classes = 21;
  std::vector<double> student, teacher;
  std::vector<int> some{3, -1, 7, -1, -1, 20}, all{3, 0, 7, 0, 0, 20};
  std::vector<double> there{1, 0, 1, 0, 0, 1};
  specimen() {
    lk::random_stream random(8);
    for (std::size_t i = 0; i < samples * classes; ++i) {
      student.push_back(2 * random.normal());
      teacher.push_back(2 * random.normal());
    }
  }
  lk::rows<const double> s() const { return {student.data(), samples, classes}; }
  lk::rows<const double> t() const { return {teacher.data(), samples, classes}; }
};

template <class Objective, class... More>
std::pair<double, std::vector<double>> run(const Objective& o, const specimen& b, More&&... more) {
  std::vector<double> g(b.student.size());
  const double loss = o(b.s(), b.t(), lk::into(lk::rows<double>(g.data(), b.samples, b.classes)), lk::unread_is_fine, more...);
  return {loss, g};
}

}  // namespace

TEST_CASE("labels where there are some, the teacher everywhere", "[objective][labels]") {
  const specimen b;
  const auto soft = lk::at_temperature(2.0, lk::forward_kl{});
  const auto check = [&](const auto& hard) {
    const auto [loss, g] = run(hard + soft, b, b.some, lk::unlabelled(-1));
    // the same, said with a signal that is 0 where there is no label
    const auto [expected, h] = run(lk::given(b.there) * hard + soft, b, b.all);
    CHECK(loss == Approx(expected).epsilon(1e-13));
    for (std::size_t i = 0; i < g.size(); ++i) CHECK(g[i] == Approx(h[i]).epsilon(1e-12).margin(1e-16));
  };
  check(lk::objective{lk::cross_entropy{.smoothing = 0.1}});
  check(lk::objective{lk::dkd{}});
  check(lk::on<lk::non_target>(lk::reverse_kl{}));
  check(lk::of_student(lk::label_probability{}) * lk::forward_kl{});
}

TEST_CASE("unlabelled rows: threads, none labelled, a masked class 0, ignored rows beside", "[objective][labels]") {
  specimen b;
  const auto both = lk::cross_entropy{} + lk::forward_kl{};
  lk::openmp two{2};
  CHECK(run(both, b, b.some, lk::unlabelled(-1)) == run(both, b, b.some, lk::unlabelled(-1), lk::on(two)));

  const std::vector<int> none(6, -1);
  CHECK(run(both, b, none, lk::unlabelled(-1)) == run(lk::objective{lk::forward_kl{}}, b));

  const std::vector<int> some_ignored{3, -1, -100, -1, -1, 20};
  const auto [loss, g] = run(both, b, some_ignored, lk::unlabelled(-1));
  for (std::size_t c = 0; c < b.classes; ++c) CHECK(g[2 * b.classes + c] == 0);
  CHECK(loss > 0);

  for (std::size_t c = 0; c < 1; ++c)
    b.student[b.classes + c] = b.teacher[b.classes + c] = -std::numeric_limits<double>::infinity();
  const auto masked = run(both, b, b.some, lk::unlabelled(-1));
  CHECK(masked.first - masked.first == 0);
}

TEST_CASE("a label that is neither a class nor said to be none is an error", "[objective][labels][errors]") {
  const specimen b;
  CHECK_THROWS_WITH(run(lk::objective{lk::cross_entropy{}}, b, b.some),
                    "limbeck: labels is -1 at row 1, expected 0 to 20, or ignore_index -100");
}

TEST_CASE("unlabelled(-100) takes the label from ignore_index, or is an error", "[objective][labels]") {
  const specimen b;
  const auto both = lk::cross_entropy{} + lk::forward_kl{};
  std::vector<int> hundred = b.some;
  for (int& y : hundred) y = y == -1 ? -100 : y;
  CHECK(run(both, b, hundred, lk::unlabelled(-100)) == run(both, b, b.some, lk::unlabelled(-1)));
  CHECK(run(both, b, hundred, lk::unlabelled(-100)) != run(both, b, hundred));
  const char* words =
      "limbeck: label -100 is given to ignore_index and to unlabelled; the first takes the row out, the second leaves it in";
  CHECK_THROWS_WITH(run(both, b, hundred, lk::unlabelled(-100), lk::ignore_index(-100)), words);
  CHECK_THROWS_WITH(run(both, b, hundred, lk::ignore_index(-100), lk::unlabelled(-100)), words);
}
