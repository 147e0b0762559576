// What is true of every loss of the library, beside cross-entropy: rows that do not count, numbers that are none.

#include "catch.hpp"
#include "every_loss.hpp"

#include <cmath>
#include <limits>

namespace lk = limbeck;
using namespace every;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity(), not_a_number = std::numeric_limits<double>::quiet_NaN();

/// A finite loss has a finite gradient; what is no number is an exception that says where, or a loss of +inf.
enum class result { refused, infinite, finite };
result outcome(const loss& l, call x) {
  double value = 0;
  try {
    value = l.run(x);
  } catch (const lk::value_error& e) {
    CHECK(std::string(e.what()).find("limbeck: ") == 0);
    return result::refused;
  }
  CHECK(!std::isnan(value));
  if (!std::isfinite(value)) return result::infinite;
  bool finite = true;
  for (const double g : x.gradient) finite = finite && std::isfinite(g);
  CHECK(finite);
  return result::finite;
}

}  // namespace

TEST_CASE("a row that does not count changes nothing, in every loss", "[objective][every]") {
  const std::vector<std::size_t> out{1, 4, 7};
  for (const auto& l : every_loss()) {
    CAPTURE(l.name);
    for (const double garbage : {3.0, not_a_number, infinity, -infinity}) {
      CAPTURE(garbage);
      call x(10);
      call rest = x.without(out);
      for (const std::size_t r : out)
        for (std::size_t c = 0; c < width; ++c)
          x.student[r * width + c] = x.teacher[r * width + c] = x.gradient[r * width + c] = garbage;
      x.labels[1] = -100, x.mask[4] = 0, x.weights[7] = 0;
      x.labels[4] = 99;  // not looked at either
      const double value = l.run(x), expected = l.run(rest);
      CHECK(value == Approx(expected).epsilon(1e-12));
      for (const std::size_t r : out)
        for (std::size_t c = 0; c < width; ++c) CHECK(x.gradient[r * width + c] == 0);
      const call compact = x.without(out);
      for (std::size_t i = 0; i < rest.gradient.size(); ++i)
        CHECK(compact.gradient[i] == Approx(rest.gradient[i]).epsilon(1e-11).margin(1e-14));
    }
  }
}

TEST_CASE("no row counts: 0, in every loss", "[objective][every]") {
  for (const auto& l : every_loss()) {
    CAPTURE(l.name);
    call x(3);
    x.labels = {-100, -100, -100};
    CHECK(l.run(x) == 0);
    for (const double g : x.gradient) CHECK(g == 0);
  }
}

TEST_CASE("a number that is none is refused, or a loss without bound, in every loss", "[objective][every]") {
  for (const auto& l : every_loss()) {
    CAPTURE(l.name);
    const call good(5);
    CHECK(outcome(l, good) == result::finite);
    bool teacher = true;
    for (const char* alone : {"cross_entropy", "label_pairs", "reverse_cross_entropy", "student_entropy", "bits", "flops",
                              "out_of_domain_penalty", "sparse_divergence", "sparse_kl", "critic_hinge", "critic_logistic",
                              "critic_least_squares", "critic_wasserstein", "gradient_penalty"})
      teacher = teacher && l.name != alone;  // the others read it
    for (const std::size_t at : {0U, 13U, 39U}) {
      CAPTURE(at);
      for (const double bad : {not_a_number, infinity}) {
        call x = good;
        x.student[at] = bad;
        CHECK(outcome(l, x) == result::refused);
        x = good;
        x.teacher[at] = bad;
        if (teacher) CHECK(outcome(l, x) == result::refused);
      }
      for (const double large : {-infinity, 1e300, -1e300, 1e155}) {
        CAPTURE(large);
        call x = good;
        x.student[at] = large;
        (void)outcome(l, x);
        x = good;
        x.teacher[at] = large;
        (void)outcome(l, x);
      }
    }
    for (const double bad : {not_a_number, infinity, -1.0}) {
      call x = good;
      x.weights[2] = bad;
      CHECK(outcome(l, x) == result::refused);
    }
    call x = good;
    x.labels[3] = static_cast<int>(width);
    CHECK(outcome(l, x) == result::refused);
  }
}

TEST_CASE("weights of rows that are related to each other are all the same", "[objective][every]") {
  call x(4);
  x.weights = {2, 2, 0, 2};
  call ones = x;
  ones.weights = {1, 1, 0, 1};
  const auto o = lk::cross_entropy{} + lk::rkd_distance{};
  CHECK(run(o, x) == Approx(run(o, ones)).epsilon(1e-14));
  x.weights[3] = 1;
  CHECK_THROWS_WITH(run(o, x), "limbeck: row_weights is 1 at row 3 and 2 at another; rkd_distance relates rows to each "
                               "other, whose weights are all the same or 0");
}

namespace {

/// An input of a call beside the rows, one of whose numbers is @p x at element 5; the loss.
struct input {
  std::string name;  // as messages have it
  std::function<double(call&, double)> run;
  std::vector<double> bad;
};
const std::vector<double> none{not_a_number, infinity, -infinity, -1};

std::vector<input> inputs() {
  const auto into = [](call& x) { return lk::into(lk::rows<double>(x.gradient.data(), x.samples(), width)); };
  const auto with = [](std::vector<double> numbers, double x) {
    numbers[5] = x;
    return numbers;
  };
  return {
      {"soft_labels",
       [=](call& x, double bad) {
         const auto p = with(std::vector<double>(x.samples() * width, 1.0 / width), bad);
         const lk::rows<const double> soft(p.data(), x.samples(), width);
         return lk::objective{lk::cross_entropy{}}(x.s(), lk::soft_labels(soft), into(x)).loss;
       },
       none},
      {"row_temperatures",
       [=](call& x, double bad) {
         const auto t = with(std::vector<double>(x.samples(), 2), bad);
         return lk::at_temperature(lk::per_row{}, lk::forward_kl{})(x.s(), x.t(), lk::row_temperatures(t), into(x)).loss;
       },
       {not_a_number, infinity, -infinity, -1, 0}},
      {"given",
       [=](call& x, double bad) {
         const auto w = with(std::vector<double>(x.samples(), 1), bad);
         return (lk::given(w) * lk::forward_kl{})(x.s(), x.t(), into(x)).loss;
       },
       {not_a_number, infinity, -infinity}},
      {"given, for a temperature",
       [=](call& x, double bad) {
         const auto t = with(std::vector<double>(x.samples(), 1), bad);
         return lk::at_temperature(lk::given(t), lk::forward_kl{})(x.s(), x.t(), into(x)).loss;
       },
       {not_a_number, infinity, -infinity, -1, 0}},
      {"class_mask",
       [=](call& x, double bad) {
         const auto m = with(std::vector<double>(width, 1), bad);
         return lk::on<lk::masked>(lk::forward_kl{})(x.s(), x.t(), lk::class_mask(m), into(x)).loss;
       },
       {not_a_number}},
      {"row_mask",
       [=](call& x, double bad) {
         const auto m = with(std::vector<double>(x.samples(), 1), bad);
         return lk::objective{lk::forward_kl{}}(x.s(), x.t(), lk::row_mask(m), into(x)).loss;
       },
       {not_a_number}},
      {"log_weights",
       [=](call& x, double bad) {
         auto store = lk::keep_top(x.t(), 3);
         store.log_weights[5] = bad;
         return lk::objective{lk::sparse_kl(store)}(x.s(), into(x)).loss;
       },
       {not_a_number, infinity, 1}},
      {"log_tails",
       [=](call& x, double bad) {
         auto store = lk::keep_top(x.t(), 3);
         store.log_tails[5] = bad;
         return lk::objective{lk::sparse_kl(store)}(x.s(), into(x)).loss;
       },
       {not_a_number, infinity, 1}},
      {"mean_over",
       [=](call& x, double bad) { return lk::objective{lk::forward_kl{}}(x.s(), x.t(), lk::mean_over(bad), into(x)).loss; },
       {not_a_number, infinity, -1, 0}},
      {"temperature",
       [=](call& x, double bad) { return lk::at_temperature(bad, lk::forward_kl{})(x.s(), x.t(), into(x)).loss; },
       {not_a_number, infinity, -1, 0}},
      {"progress",
       [=](call& x, double bad) {
         return lk::at_temperature(lk::linear(4, 1), lk::forward_kl{})(x.s(), x.t(), lk::progress(bad), into(x)).loss;
       },
       {not_a_number, infinity, -1, 2}},
  };
}

}  // namespace

TEST_CASE("a number that is none is refused in every input of a call", "[objective][every]") {
  for (const auto& i : inputs())
    for (const double bad : i.bad) {
      CAPTURE(i.name, bad);
      call x(9);
      CHECK_THROWS_AS(i.run(x, bad), lk::value_error);
      CHECK_THROWS_WITH(i.run(x, bad), Catch::Matchers::StartsWith("limbeck: "));
    }
}
