// Bad input: the type of the exception, a message that names argument, row and value, and inputs left as they were.

#include "batch.hpp"
#include "catch.hpp"

#include <limbeck/limbeck.hpp>
#include <initializer_list>

#include <cmath>
#include <limits>
#include <string>

namespace lk = limbeck;
using namespace limbeck_test;

namespace {

const auto objective = lk::cross_entropy{} + lk::at_temperature(2.0, lk::forward_kl{});
constexpr float nan_f = std::numeric_limits<float>::quiet_NaN(), inf_f = std::numeric_limits<float>::infinity();

template <class Error, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  } catch (const std::exception& e) {
    return std::string("another exception: ") + e.what();
  }
  return "no exception";
}

#define CHECK_MESSAGE(Error, call, ...)                                                 \
  do {                                                                                  \
    const std::string said = message_of<Error>([&] { call; });                          \
    INFO(said);                                                                         \
    for (const char* part : {__VA_ARGS__}) CHECK(said.find(part) != std::string::npos); \
  } while (false)

struct fixture {
  batch<float> b = random_batch<float>(20, 50);
  std::vector<float> g = std::vector<float>(b.size());
  lk::rows<float> gradient{g.data(), b.samples, b.classes};
  auto call() { return objective(b.s(), b.t(), b.labels, lk::into(gradient)); }
};

}  // namespace

TEST_CASE("shapes are checked before anything is read") {
  fixture f;
  const auto other = random_batch<float>(20, 49), shorter = random_batch<float>(19, 50);
  CHECK_MESSAGE(lk::shape_error, objective(f.b.s(), other.t(), f.b.labels), "teacher", "20 x 49", "20 x 50");
  CHECK_MESSAGE(lk::shape_error, objective(f.b.s(), shorter.t(), f.b.labels), "teacher", "19 x 50", "20 x 50");
  CHECK_MESSAGE(lk::shape_error, objective(f.b.s(), f.b.t(), shorter.labels), "labels", "19", "20");
  lk::rows<float> small(f.g.data(), 20, 49);
  CHECK_MESSAGE(lk::shape_error, objective(f.b.s(), f.b.t(), f.b.labels, lk::into(small)), "gradient", "20 x 49");
  std::vector<float> losses(19);
  CHECK_MESSAGE(lk::shape_error, objective(f.b.s(), f.b.t(), f.b.labels, lk::row_losses(losses)), "row_losses", "19",
                "20");
  const std::vector<float> w(21, 1.0f);
  CHECK_MESSAGE(lk::shape_error, objective(f.b.s(), f.b.t(), f.b.labels, lk::row_weights(w)), "row_weights", "21",
                "20");
  CHECK_MESSAGE(lk::shape_error, objective(f.b.s(), f.b.t(), f.b.labels, lk::row_mask(w)), "row_mask", "21", "20");
  CHECK_MESSAGE(lk::shape_error, objective(f.b.s(), f.b.t(), f.b.labels, lk::soft_labels(other.s())), "soft_labels",
                "49");
  const lk::rows<const float> no_classes(f.b.student.data(), 20, 0);
  CHECK_MESSAGE(lk::shape_error, objective.value(no_classes, no_classes, f.b.labels), "student", "20 x 0");
}

TEST_CASE("logits that are NaN, +inf or all -inf") {
  const auto check = [](bool teacher, float value, std::size_t column, const std::string& shown) {
    fixture f;
    auto& x = teacher ? f.b.teacher : f.b.student;
    x[13 * 50 + column] = value;
    const auto before = f.b;
    const std::string who = teacher ? "teacher" : "student", at = "class " + std::to_string(column);
    CHECK_MESSAGE(lk::value_error, f.call(), who.c_str(), shown.c_str(), "row 13", at.c_str());
    CHECK_MESSAGE(lk::value_error, objective.value(f.b.s(), f.b.t(), f.b.labels), who.c_str(), "row 13");
    CHECK(same_bits(f.b.student, before.student));
    CHECK(same_bits(f.b.teacher, before.teacher));
  };
  for (const bool teacher : {false, true})
    for (const auto column : std::initializer_list<std::size_t>{0, 7, 31, 48, 49}) {
      check(teacher, nan_f, column, "nan");
      check(teacher, inf_f, column, "inf");
    }
  for (const bool teacher : {false, true}) {
    fixture f;
    auto& x = teacher ? f.b.teacher : f.b.student;
    for (std::size_t c = 0; c < 50; ++c) x[5 * 50 + c] = -inf_f;
    CHECK_MESSAGE(lk::value_error, f.call(), teacher ? "teacher" : "student", "-inf", "row 5", "all 50 classes");
  }
  // the lowest row is named, whatever the executor
  fixture f;
  f.b.student[17 * 50] = nan_f;
  f.b.teacher[3 * 50] = nan_f;
  CHECK_MESSAGE(lk::value_error, f.call(), "teacher", "row 3");
}

TEST_CASE("objectives without a softmax find bad logits too") {
  const lk::objective mse{lk::mse{}};
  fixture f;
  f.b.teacher[3 * 50 + 49] = nan_f;
  CHECK_MESSAGE(lk::value_error, mse(f.b.s(), f.b.t(), lk::into(f.gradient)), "teacher", "nan", "row 3", "class 49");
  f.b.teacher[3 * 50 + 49] = 0;
  f.b.student[2 * 50 + 1] = inf_f;
  CHECK_MESSAGE(lk::value_error, mse(f.b.s(), f.b.t(), lk::into(f.gradient)), "student", "inf", "row 2", "class 1");
}

TEST_CASE("a student alone with bad logits") {
  const lk::objective ce{lk::cross_entropy{}};
  fixture f;
  f.b.student[2 * 50 + 33] = nan_f;
  CHECK_MESSAGE(lk::value_error, ce(f.b.s(), f.b.labels, lk::into(f.gradient)), "student", "nan", "row 2", "class 33");
}

TEST_CASE("labels out of range") {
  for (const int y : {50, -1, 1000000, -101}) {
    fixture f;
    f.b.labels[11] = y;
    const std::string shown = std::to_string(y);
    CHECK_MESSAGE(lk::value_error, f.call(), "labels", shown.c_str(), "row 11", "0 to 49", "-100");
  }
  fixture f;
  std::vector<std::int64_t> wide(f.b.labels.begin(), f.b.labels.end());
  wide[4] = (std::int64_t{1} << 32) + 1;  // would be 1 as an int
  CHECK_MESSAGE(lk::value_error, objective.value(f.b.s(), f.b.t(), wide), "labels", "4294967297", "row 4");
}

TEST_CASE("weights and reductions") {
  fixture f;
  std::vector<double> w(20, 1.0);
  w[6] = -0.5;
  CHECK_MESSAGE(lk::value_error, objective.value(f.b.s(), f.b.t(), f.b.labels, lk::row_weights(w)), "row_weights",
                "-0.5", "row 6");
  w[6] = std::nan("");
  CHECK_MESSAGE(lk::value_error, objective.value(f.b.s(), f.b.t(), f.b.labels, lk::row_weights(w)), "row_weights",
                "nan", "row 6");
  w.assign(20, 0.0);
  CHECK_MESSAGE(lk::value_error, objective.value(f.b.s(), f.b.t(), f.b.labels, lk::row_weights(w)), "row_weights",
                "sum to 0");
  CHECK(objective.value(f.b.s(), f.b.t(), f.b.labels, lk::row_weights(w), lk::sum) == 0);
  for (const double total : {0.0, -1.0, std::nan("")})
    CHECK_MESSAGE(lk::value_error, lk::mean_over(total), "mean_over");
}

TEST_CASE("temperatures that are not positive") {
  fixture f;
  for (const double t : {0.0, -2.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    const auto o = lk::objective{lk::at_temperature(t, lk::forward_kl{})};
    CHECK_MESSAGE(lk::value_error, o.value(f.b.s(), f.b.t()), "temperature is", "positive");
  }
  const auto cooled = lk::objective{lk::at_temperature(lk::linear(2, 0), lk::forward_kl{})};
  CHECK_NOTHROW(cooled.value(f.b.s(), f.b.t(), lk::progress(0.5)));
  CHECK_MESSAGE(lk::value_error, cooled.value(f.b.s(), f.b.t(), lk::progress(1.0)), "temperature is 0");
  const auto each = lk::objective{lk::at_temperature(lk::per_row{}, lk::forward_kl{})};
  std::vector<float> t(20, 1.0f);
  t[8] = -3;
  CHECK_MESSAGE(lk::value_error, each.value(f.b.s(), f.b.t(), lk::row_temperatures(t)), "row_temperatures", "-3",
                "row 8");
}

TEST_CASE("settings of losses") {
  fixture f;
  CHECK_MESSAGE(lk::value_error, lk::objective{lk::cross_entropy{.smoothing = 1}}.value(f.b.s(), f.b.labels),
                "cross_entropy.smoothing is 1");
  CHECK_MESSAGE(lk::value_error, lk::objective{lk::jensen_shannon{.beta = 0}}.value(f.b.s(), f.b.t()),
                "jensen_shannon.beta is 0");
  CHECK_MESSAGE(lk::value_error, lk::objective{lk::skew_kl{.alpha = 1}}.value(f.b.s(), f.b.t()), "skew_kl.alpha is 1");
  CHECK_MESSAGE(lk::value_error, lk::objective{lk::skew_reverse_kl{.alpha = -1}}.value(f.b.s(), f.b.t()),
                "skew_reverse_kl.alpha is -1");
  CHECK_MESSAGE(lk::value_error, lk::objective{lk::alpha_divergence{.alpha = std::nan("")}}.value(f.b.s(), f.b.t()),
                "alpha_divergence.alpha is nan");
  CHECK_MESSAGE(lk::value_error, lk::objective{lk::alpha_beta{.beta = INFINITY}}.value(f.b.s(), f.b.t()), "alpha_beta.beta is inf");
  CHECK_MESSAGE(lk::value_error, (std::nan("") * lk::forward_kl{}).value(f.b.s(), f.b.t()),
                "weight of forward_kl is nan");
}

TEST_CASE("soft labels that are no probabilities") {
  const lk::objective ce{lk::cross_entropy{}};
  for (const float bad : {-0.5f, nan_f, inf_f}) {
    fixture f;
    std::vector<float> p(f.b.size(), 0.02f);
    p[9 * 50 + 47] = bad;
    CHECK_MESSAGE(lk::value_error,
                  ce(f.b.s(), lk::soft_labels(lk::rows<const float>(p.data(), 20, 50)), lk::into(f.gradient)),
                  "soft_labels", "row 9", "class 47");
  }
}

TEST_CASE("outputs need memory of their own") {
  fixture f;
  lk::rows<float> student(f.b.student.data(), 20, 50);
  CHECK_MESSAGE(lk::value_error, objective(student, f.b.t(), f.b.labels, lk::into(student)), "gradient", "student");
  const lk::rows<const float> shifted(f.b.teacher.data(), 19, 50);
  const std::vector<int> y(19, 1);
  CHECK_MESSAGE(lk::value_error,
                objective(lk::rows<const float>(f.b.student.data(), 19, 50), shifted, y,
                          lk::into(lk::rows<float>(f.b.teacher.data() + 7, 19, 50))),
                "gradient", "teacher");
  std::vector<float> p(f.b.size(), 0.02f);
  const lk::objective ce{lk::cross_entropy{}};
  CHECK_MESSAGE(lk::value_error,
                ce(f.b.s(), lk::soft_labels(lk::rows<const float>(p.data(), 20, 50)),
                   lk::into(lk::rows<float>(p.data(), 20, 50))),
                "gradient", "soft_labels");
}

TEST_CASE("the exceptions derive from the standard ones") {
  CHECK_THROWS_AS(throw lk::shape_error("x"), std::invalid_argument);
  CHECK_THROWS_AS(throw lk::value_error("x"), std::domain_error);
}

TEST_CASE("a softmax over one class is no loss", "[objective][errors]") {
  const std::vector<double> x{3, -1}, y{0, 2};
  const lk::rows<const double> s(x.data(), 2, 1), t(y.data(), 2, 1);
  CHECK_THROWS_WITH(lk::objective{lk::forward_kl{}}.value(s, t),
                    Catch::Contains("student has shape 2 x 1, and a softmax over one class is 1 whatever the logit"));
  std::vector<double> out(2);
  CHECK_THROWS_WITH(lk::measure(lk::entropy{}, s, out), Catch::Contains("a softmax over one class"));
  CHECK(lk::objective{lk::mse{}}.value(s, t) == Approx(9));
}

TEST_CASE("a gradient that is added to keeps what stood in the rows behind a bad one") {
  const std::vector<double> s{1, 2, 3, 0, 1, 0, 2, 2, 1, 0, 0, 1}, t{0, 1, 0, 1, 1, 2, 0, 0, 1, 2, 1, 0};
  std::vector<double> g(12, 7);
  const lk::rows<const double> student(s.data(), 4, 3), teacher(t.data(), 4, 3);
  const lk::rows<double> gradient(g.data(), 4, 3);
  std::vector<int> labels{0, 1, 2, 0};
  const auto loss = lk::cross_entropy{} + lk::forward_kl{};
  lk::workspace ws;
  loss(student, teacher, labels, ws, lk::add_to(gradient));
  std::fill(g.begin(), g.end(), 7);
  labels[1] = 3;
  CHECK_THROWS_AS(loss(student, teacher, labels, ws, lk::add_to(gradient)), lk::value_error);
  CHECK(std::vector<double>(g.begin() + 3, g.end()) == std::vector<double>(9, 7));
}
