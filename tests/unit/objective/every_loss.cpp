// What is true of every loss of the library, beside cross-entropy: rows that do not count, numbers that are none.
// tests/docs/check_every_loss.py compares the list with the headers.

#include "catch.hpp"

#include <limbeck/limbeck.hpp>

#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace lk = limbeck;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity(), not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t width = 8;

/// All that a call is given. `kept` is the teacher that sparse rows are taken from, `ids` are the samples of a bank.
struct call {
  std::vector<double> student, teacher, kept, weights, gradient;
  std::vector<int> labels;
  std::vector<unsigned char> mask;
  std::vector<std::size_t> ids;

  explicit call(std::size_t n, double scale = 1)
      : student(n * width), teacher(n * width), weights(n, 1), gradient(n * width), labels(n), mask(n, 1), ids(n) {
    std::mt19937 random(5);
    std::normal_distribution<double> normal(0, scale);
    for (double& x : student) x = normal(random);
    for (double& x : teacher) x = normal(random);
    kept = teacher;
    for (std::size_t r = 0; r < n; ++r) labels[r] = static_cast<int>(r % width), ids[r] = r;
  }
  std::size_t samples() const { return labels.size(); }
  lk::rows<const double> s() const { return {student.data(), samples(), width}; }
  lk::rows<const double> t() const { return {teacher.data(), samples(), width}; }

  /// The same without the rows that @p out says.
  call without(const std::vector<std::size_t>& out) const {
    call rest = *this;
    const auto drop = [&](auto& x, std::size_t each) {
      for (auto r = out.rbegin(); r != out.rend(); ++r) {
        const auto at = x.begin() + static_cast<std::ptrdiff_t>(*r * each);
        x.erase(at, at + static_cast<std::ptrdiff_t>(each));
      }
    };
    for (auto* x : {&rest.student, &rest.teacher, &rest.kept, &rest.gradient}) drop(*x, width);
    drop(rest.weights, 1), drop(rest.labels, 1), drop(rest.mask, 1), drop(rest.ids, 1);
    return rest;
  }
};

struct loss {
  std::string name;
  std::function<double(call&)> run;  // the loss; fills the gradient
};

template <class Objective>
double run(const Objective& o, call& x) {
  return o(x.s(), x.t(), x.labels, lk::unread_is_fine, lk::row_mask(x.mask), lk::row_weights(x.weights),
           lk::into(lk::rows<double>(x.gradient.data(), x.samples(), width)))
      .loss;
}
template <class Loss>
loss beside(const char* name, Loss l) {
  return {name, [l](call& x) { return run(lk::cross_entropy{} + 0.5 * l, x); }};
}

/// What a loss learns or remembers is new in each call.
double with_bank(call& x) {
  lk::crd_bank<double> bank(16, 3, {.negatives = 4, .temperature = 1, .seed = 3});
  lk::projection<double> s(width, 3, lk::xavier{.seed = 1}), t(width, 3, lk::xavier{.seed = 2});
  return run(lk::cross_entropy{} + 0.5 * lk::crd(bank, x.ids, s, t), x);
}
double with_projection(call& x) {
  lk::projection<double> p(width, width, lk::xavier{.seed = 1});
  return run(lk::cross_entropy{} + 0.5 * lk::projected(p, lk::hint{}), x);
}
double with_variances(call& x) {
  lk::channel_variances<double> v(width);
  return run(lk::cross_entropy{} + 0.5 * lk::vid(v), x);
}
template <class Divergence>
loss sparse(const char* name, Divergence divergence) {
  return {name, [divergence](call& x) {
            const auto store = lk::keep_top(lk::rows<const double>(x.kept.data(), x.samples(), width), 3);
            return run(lk::cross_entropy{} + 0.5 * lk::sparse_divergence(divergence, store), x);
          }};
}

const std::vector<loss>& every_loss() {
  static const std::vector<loss> all{
      beside("cross_entropy", lk::cross_entropy{.smoothing = 0.1}),
      beside("soft_cross_entropy", lk::soft_cross_entropy{}),
      beside("forward_kl", lk::forward_kl{}),
      beside("reverse_kl", lk::reverse_kl{}),
      beside("jensen_shannon", lk::jensen_shannon{.beta = 0.3}),
      beside("skew_kl", lk::skew_kl{}),
      beside("skew_reverse_kl", lk::skew_reverse_kl{}),
      beside("total_variation", lk::total_variation{}),
      beside("squared_hellinger", lk::squared_hellinger{}),
      beside("alpha_divergence", lk::alpha_divergence{.alpha = 0.4}),
      beside("mse", lk::mse{}),
      beside("target_kl", lk::target_kl{}),
      beside("target_cross_entropy", lk::target_cross_entropy{}),
      beside("dkd", lk::dkd{}),
      beside("nkd", lk::nkd{}),
      beside("margin_mse", lk::margin_mse{}),
      beside("pld", lk::pld{}),
      sparse("sparse_divergence", lk::reverse_kl{}),
      sparse("sparse_kl", lk::forward_kl{}),
      beside("linear_cka", lk::linear_cka{}),
      beside("info_nce", lk::info_nce{}),
      beside("symmetric_info_nce", lk::symmetric_info_nce{}),
      beside("correlation_congruence", lk::correlation_congruence{}),
      beside("marginal_distance_matrix", lk::marginal_distance_matrix{}),
      beside("dist", lk::dist{}),
      beside("nst", lk::nst{}),
      beside("pkt", lk::pkt{}),
      beside("rkd_distance", lk::rkd_distance{}),
      beside("rkd_angle", lk::rkd_angle{}),
      beside("similarity_preserving", lk::similarity_preserving{}),
      beside("activation_matching", lk::activation_matching{}),
      beside("attention_transfer", lk::attention_transfer{}),
      beside("hard_quantile", lk::hard_quantile{.p_hard = 0.5}),
      beside("out_of_domain_penalty", lk::out_of_domain_penalty{}),
      beside("hint", lk::hint{}),
      beside("feature_mse", lk::feature_mse{}),
      beside("ickd", lk::ickd{.channels = 4}),
      beside("sinkhorn", lk::sinkhorn{}),
      {"projected", with_projection},
      {"vid", with_variances},
      {"crd", with_bank},
  };
  return all;
}

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
    const bool teacher = l.name != "out_of_domain_penalty" && l.name.find("sparse") == std::string::npos &&
                         l.name != "cross_entropy";  // the others read it
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
  CHECK_THROWS_WITH(run(o, x), "limbeck: row_weights is 1 at row 3 and 2 at another; a batchwise loss relates rows to each "
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
