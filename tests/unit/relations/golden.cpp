// Against PyTorch's autograd over the published forms: tests/golden/make_relations.py.

#include "catch.hpp"
#include "reference.hpp"

#include <fstream>
#include <string>

namespace {

namespace lk = limbeck;

struct relation_case {
  std::string loss;
  std::size_t samples = 0, student_columns = 0, teacher_columns = 0;
  std::vector<double> student, teacher, value, gradient;
};

std::vector<relation_case> read() {
  std::ifstream in(LIMBECK_GOLDEN_DIR "/relations.txt");
  REQUIRE(in.good());
  std::vector<relation_case> cases;
  std::string word, name;
  const auto list = [&](std::vector<double>& out, std::size_t count) {
    in >> name;
    out.resize(count);
    for (double& v : out) in >> v;
  };
  while (in >> word && word == "case") {
    relation_case c;
    in >> c.loss >> name >> c.samples >> name >> c.student_columns >> name >> c.teacher_columns;
    list(c.student, c.samples * c.student_columns);
    list(c.teacher, c.samples * c.teacher_columns);
    list(c.value, 1);
    list(c.gradient, c.samples * c.student_columns);
    cases.push_back(c);
  }
  std::size_t count = 0;
  in >> count;
  REQUIRE(word == "end");
  REQUIRE(count == cases.size());
  return cases;
}

template <class T>
void check(const relation_case& c, const auto& loss, double tolerance) {
  CAPTURE(c.loss, sizeof(T));
  limbeck_test::features<T> x(c.samples, c.student_columns, c.teacher_columns);
  x.student.assign(c.student.begin(), c.student.end());
  x.teacher.assign(c.teacher.begin(), c.teacher.end());
  CHECK(x.run(loss) == Approx(c.value[0]).epsilon(tolerance));
  double largest = 0;
  for (const double g : c.gradient) largest = (std::max)(largest, std::fabs(g));
  for (std::size_t i = 0; i < c.gradient.size(); ++i)
    CHECK(static_cast<double>(x.gradient[i]) == Approx(c.gradient[i]).margin(tolerance * largest));
}

TEST_CASE("relations: golden values") {
  for (const relation_case& c : read()) {
    const auto both = [&](const auto& loss, double tolerance = 1e-9) {
      check<double>(c, loss, tolerance);
      check<float>(c, loss, 1e-4);
    };
    if (c.loss == "rkd_distance")
      both(lk::rkd_distance{});
    else if (c.loss == "rkd_angle")
      both(lk::rkd_angle{});
    else if (c.loss == "similarity_preserving")
      both(lk::similarity_preserving{});
    else if (c.loss == "activation_matching")
      both(lk::activation_matching{});
    else if (c.loss == "correlation_congruence")
      both(lk::correlation_congruence{});
    else if (c.loss == "marginal_distance_matrix")
      both(lk::marginal_distance_matrix{});
    else if (c.loss == "pkt")
      both(lk::pkt{}, 1e-6);  // the code adds epsilon to the norms too
    else if (c.loss == "linear_cka")
      both(lk::linear_cka{});
    else if (c.loss == "dist")
      both(lk::dist{.epsilon = 1e-8});  // the code's
    else if (c.loss == "dist_4")
      both(lk::dist{.beta = 1, .gamma = 2, .temperature = 4, .epsilon = 1e-8});
    else if (c.loss == "nst")
      both(lk::nst{.positions = 3});
    else
      FAIL(c.loss);
  }
}

}  // namespace
