// The numbers of tests/golden/features.txt: PyTorch's autograd in double, in the form of the authors' code.

#include "catch.hpp"
#include "golden.hpp"
#include "make_batch.hpp"

#include <limbeck/limbeck.hpp>

#include <algorithm>
#include <fstream>
#include <limits>

namespace lk = limbeck;
using namespace limbeck_test;

namespace {

struct feature_case {
  std::string name;
  std::vector<double> parameters, student, teacher, gradient, learned;
  std::size_t samples = 0, columns = 0, teacher_columns = 0;
  double value = 0;
};

std::vector<feature_case> read_cases() {
  std::ifstream in(LIMBECK_GOLDEN_DIR "/features.txt");
  limbeck_test::detail::golden_reader read(in);
  std::vector<feature_case> cases;
  for (std::string word = read.word(); word == "case"; word = read.word()) {
    feature_case c;
    c.name = read.word();
    read.expect("parameters");
    c.parameters = read.numbers(read.integer<std::size_t>());
    read.expect("samples");
    c.samples = read.integer<std::size_t>();
    read.expect("student");
    c.columns = read.integer<std::size_t>();
    read.expect("teacher");
    c.teacher_columns = read.integer<std::size_t>();
    c.student = read.numbers(c.samples * c.columns);
    c.teacher = read.numbers(c.samples * c.teacher_columns);
    read.expect("value");
    c.value = read.number();
    read.expect("gradient");
    c.gradient = read.numbers(c.samples * c.columns);
    read.expect("learned");
    c.learned = read.numbers(read.integer<std::size_t>());
    cases.push_back(c);
  }
  return cases;
}

/// The gradients of learned parameters, one after the other.
template <class T, class... Learned>
std::vector<double> gradients_of(Learned&... learned) {
  std::vector<double> all;
  const auto add = [&](auto spans) {
    for (const auto span : spans) all.insert(all.end(), span.begin(), span.end());
  };
  (add(learned.gradients()), ...);
  return all;
}

template <class T>
void check(const std::vector<T>& got, const std::vector<double>& expected, double tolerance) {
  REQUIRE(got.size() == expected.size());
  double largest = 0, off = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    largest = std::max(largest, std::fabs(expected[i]));
    off = std::max(off, std::fabs(static_cast<double>(got[i]) - expected[i]));
  }
  CHECK(off <= tolerance * largest);
}

template <class T>
void run(const feature_case& c, double tolerance) {
  INFO(c.name << (sizeof(T) == 4 ? " in float" : " in double"));
  features<T> x(c.samples, c.columns, c.teacher_columns);
  x.student = as<T>(c.student), x.teacher = as<T>(c.teacher);
  const std::vector<double>& p = c.parameters;
  const auto whole = [](double v) { return static_cast<std::size_t>(v); };
  double value = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> learned;
  const auto of_rows = [&](const auto& loss) {
    std::vector<int> labels;
    for (std::size_t i = 1; i < p.size(); ++i) labels.push_back(static_cast<int>(p[i]));
    const lk::objective o{loss};
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(loss)>, lk::pld>) {
      value = o(x.s(), x.t(), labels, lk::into(x.g())).loss;
    } else {
      value = o(x.s(), x.t(), lk::into(x.g())).loss;
    }
  };
  if (c.name == "hint") value = x.run(lk::hint{});
  if (c.name == "feature_mse") value = x.run(lk::feature_mse{});
  if (c.name == "attention_transfer")
    value =
        x.run(lk::attention_transfer{.student_channels = whole(p[0]), .teacher_channels = whole(p[1]), .power = p[2]});
  if (c.name == "ickd") value = x.run(lk::ickd{.channels = whole(p[0])});
  if (c.name == "hard_quantile") value = x.run(lk::hard_quantile{.p_hard = p[0]});
  if (c.name == "out_of_domain_penalty") value = x.run(lk::out_of_domain_penalty{});
  if (c.name == "info_nce") value = x.run(lk::info_nce{.temperature = p[0]});
  if (c.name == "symmetric_info_nce") value = x.run(lk::symmetric_info_nce{.temperature = p[0]});
  if (c.name == "margin_mse") of_rows(lk::margin_mse{});
  if (c.name == "pld") of_rows(lk::pld{.temperature = p[0]});
  if (c.name == "sinkhorn") {
    x.student_temperature = x.teacher_temperature = p[0];
    value = x.run(lk::sinkhorn{.epsilon = p[1], .iterations = static_cast<int>(p[2])});
  }
  if (c.name == "vid") {
    lk::channel_variances<T> v(whole(p[0]));
    for (std::size_t i = 0; i < v.channels(); ++i) v.parameters()[0][i] = static_cast<T>(p[i + 1]);
    value = x.run(lk::vid(v));
    learned = gradients_of<T>(v);
  }
  if (c.name == "crd") {
    lk::crd_bank<T> bank(6, 3, {.negatives = 8, .temperature = 0.3, .momentum = 0.5, .seed = 11});
    lk::projection<T> s(4, 3), t(5, 3);
    auto next = p.begin();
    for (lk::projection<T>* one : {&s, &t})
      for (const auto span : one->parameters())
        for (T& v : span) v = static_cast<T>(*next++);
    const std::vector<std::size_t> indices{2, 0, 5};
    const auto loss = lk::crd(bank, indices, s, t);
    x.run(loss);  // sets the normalisers and moves the memory
    s.zero_gradients(), t.zero_gradients();
    value = x.run(loss);
    learned = gradients_of<T>(s, t);
  }
  if (c.name == "fsp") value = x.run(lk::fsp{.first_channels = whole(p[0]), .second_channels = whole(p[1])});
  if (c.name == "factor_transfer") value = x.run(lk::factor_transfer{.p = p[0]});
  if (c.name == "activation_boundaries") value = x.run(lk::activation_boundaries{.margin = p[0]});
  if (c.name == "overhaul") {
    const auto middle = p.begin() + 1 + static_cast<std::ptrdiff_t>(p[0]);
    const lk::channel_margins margins(std::vector<double>(p.begin() + 1, middle), std::vector<double>(middle, p.end()));
    value = x.run(lk::overhaul(margins));
  }
  if (c.name == "pad_l2") value = x.run(lk::pad_l2{});
  if (c.name == "log_sum") value = x.run(lk::log_sum{.alpha = p[0]});
  if (c.name == "channel_affinity") value = x.run(lk::channel_affinity{.channels = whole(p[0])});
  if (c.name == "position_similarity")
    value = x.run(lk::position_similarity{.student_channels = whole(p[0]), .teacher_channels = whole(p[1])});
  if (c.name == "sskd") value = x.run(lk::sskd{.views = whole(p[0]), .temperature = p[1], .keep_wrong = p[2]});
  if (c.name == "kdsvd")
    value = x.run(lk::kdsvd{.first_channels = whole(p[0]), .second_channels = whole(p[1]), .student_positions = whole(p[2]),
                            .teacher_positions = whole(p[3]), .k = whole(p[4])});
  CHECK(value == Approx(c.value).epsilon(tolerance).margin(1e-15));
  check(x.gradient, c.gradient, tolerance);
  check(learned, c.learned, tolerance);
}

}  // namespace

TEST_CASE("features: golden values") {
  const auto cases = read_cases();
  CHECK(cases.size() == 35);
  for (const auto& c : cases) {
    run<double>(c, 1e-11);
    run<float>(c, 2e-5);
  }
}
