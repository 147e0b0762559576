// The one-page tour of composition: four losses, two temperatures, a schedule and a name make one kernel; the same
// objective runs on whatever tensor a program holds, with the same numbers.

#include <limbeck/limbeck.hpp>
#if LIMBECK_EXAMPLE_EIGEN
#include <limbeck/eigen.hpp>
#endif
#if LIMBECK_EXAMPLE_XTENSOR
#include <limbeck/xtensor.hpp>
#endif
#if LIMBECK_EXAMPLE_THRUST
#include <limbeck/thrust.hpp>
#endif

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <limits>
#include <random>
#include <vector>

namespace lk = limbeck;

// A loss of your own is two functions of one class: here the chi-squared divergence, sum (p - q)^2 / q.
struct chi_squared {
  using limbeck_loss = lk::pointwise;
  static constexpr int temperature_power = 2;
  template <class X>
  static constexpr X value(const lk::point<X>& x) {
    return x.difference * x.difference / larger(x.q, X(std::numeric_limits<typename X::scalar>::min()));
  }
  template <class X>
  static constexpr X flow(const lk::point<X>& x) {  // q d/dq = q - p^2 / q
    return x.difference * (x.p + x.q) / larger(x.q, X(std::numeric_limits<typename X::scalar>::min()));
  }
};

struct result {
  const char* backend;
  double loss;
  std::vector<float> gradient;
};

int main() {
  constexpr std::size_t samples = 64, classes = 100;
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> student(samples * classes), teacher(student.size());
  for (float& x : student) x = normal(random);
  for (float& x : teacher) x = normal(random);
  std::vector<int> labels(samples);
  for (int& y : labels) y = static_cast<int>(random() % classes);

  // Weights and temperatures are numbers: constants or schedules. Losses at one temperature share their softmax.
  const auto objective =
      0.1 * lk::cross_entropy{.smoothing = 0.05} +
      lk::cosine(0.9, 0.5) *
          lk::at_temperature(4.0, lk::forward_kl{} + 0.3 * lk::named<"mode seeking">(lk::reverse_kl{})) +
      0.2 * lk::at_temperature(lk::linear(2, 1), lk::dkd{.alpha = 1, .beta = 2}) + 0.05 * lk::objective{chi_squared{}};
  const lk::progress halfway(0.5);

  std::cout << "The plan, halfway through a run\n\n" << objective.plan(halfway.fraction()) << '\n';

  // Plain memory. The caller owns the gradient and the workspace, so the second call allocates nothing.
  lk::workspace workspace;
  std::vector<result> results;
  std::vector<float> g(student.size());
  const lk::rows<const float> s(student.data(), samples, classes), t(teacher.data(), samples, classes);
  const lk::rows<float> into(g.data(), samples, classes);
  results.push_back({"std::span", objective(s, t, labels, halfway, lk::into(into), workspace), g});
  std::cout << "What each term does\n\n" << objective.report(s, t, labels, halfway) << '\n';

#if LIMBECK_EXAMPLE_EIGEN
  {
    using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const Eigen::Map<const matrix> es(student.data(), samples, classes), et(teacher.data(), samples, classes);
    const auto [loss, gradient] = objective(es, et, labels, halfway);  // the short form allocates its gradient
    results.push_back({"Eigen, rows", loss, {gradient.data(), gradient.data() + gradient.size()}});

    // samples in columns, Eigen's own order: the same memory, seen from the side
    Eigen::Map<Eigen::MatrixXf> column_gradient(g.data(), classes, samples);
    const Eigen::Map<const Eigen::MatrixXf> cs(student.data(), classes, samples), ct(teacher.data(), classes, samples);
    results.push_back(
        {"Eigen, columns",
         objective(cs.transpose(), ct.transpose(), labels, halfway, lk::into(column_gradient.transpose()), workspace),
         g});
  }
#endif
#if LIMBECK_EXAMPLE_XTENSOR
  {
    xt::xtensor<float, 2> xs({samples, classes}), xteacher({samples, classes});
    std::copy(student.begin(), student.end(), xs.begin());
    std::copy(teacher.begin(), teacher.end(), xteacher.begin());
    const auto [loss, gradient] = objective(xs, xteacher, labels, halfway);
    results.push_back({"xtensor", loss, {gradient.begin(), gradient.end()}});
  }
#endif
#if LIMBECK_EXAMPLE_THRUST
  {
    const thrust::device_vector<float> ds(student.begin(), student.end()), dt(teacher.begin(), teacher.end());
    const thrust::device_vector<int> dy(labels.begin(), labels.end());
    thrust::device_vector<float> dg(student.size());
    const double loss = objective(lk::on_device(ds, samples, classes), lk::on_device(dt, samples, classes), dy, halfway,
                                  lk::into(lk::on_device(dg, samples, classes)));
    std::vector<float> gradient(dg.size());
    thrust::copy(dg.begin(), dg.end(), gradient.begin());
    results.push_back({"Thrust", loss, gradient});
  }
#endif

  std::printf("One objective, every backend\n\n%-16s%-14s%s\n", "backend", "loss",
              "largest difference in the gradient");
  bool agree = true;
  for (const result& r : results) {
    float difference = 0, scale = 0;
    for (std::size_t i = 0; i < g.size(); ++i) {
      difference = std::max(difference, std::abs(r.gradient[i] - results[0].gradient[i]));
      scale = std::max(scale, std::abs(results[0].gradient[i]));
    }
    agree = agree && difference <= 1e-5f * scale && std::abs(r.loss - results[0].loss) <= 1e-6 * results[0].loss;
    std::printf("%-16s%-14.9g%g\n", r.backend, r.loss, static_cast<double>(difference));
  }
  std::puts(agree ? "\nThey agree." : "\nThey do NOT agree.");
  return agree ? 0 : 1;
}
