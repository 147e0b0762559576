#ifndef LIMBECK_TESTS_SUPPORT_MAKE_BATCH_HPP
#define LIMBECK_TESTS_SUPPORT_MAKE_BATCH_HPP

// A batch<T> over vectors, for tests of batchwise losses without an objective.
//
//     limbeck_test::features<double> x(samples, student_columns, teacher_columns, seed);  // normal numbers
//     double value = x.value(loss);              // no gradient
//     double value = x.run(loss, scale);         // x.gradient = scale * derivative (it is set to 0 first)
//     double value = x.run_on(executor, loss);
//     x.student[...], x.teacher[...], x.labels   // may be changed in between
//     double worst = x.difference(loss);         // gradient against central differences, relative to its largest
//     element
//     x.teach();                                 // from here on calls with a gradient fill x.teacher_gradient too
//     double worst = x.teacher_difference(loss); // the same of the teacher's gradient

#include <limbeck/engine/batch.hpp>
#include <limbeck/engine/dense.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace limbeck_test {

template <class T>
struct features {
  std::size_t samples, columns, teacher_columns;
  std::vector<T> student, teacher, gradient;
  std::vector<T> teacher_gradient{};  // empty: none is wanted
  std::vector<int> labels;
  double student_temperature = 1, teacher_temperature = 1;
  limbeck::workspace memory;

  features(std::size_t n, std::size_t s, std::size_t t, std::uint32_t seed = 1, double scale = 1)
      : samples(n), columns(s), teacher_columns(t), student(n * s), teacher(n * t), gradient(n * s) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal(0.0, scale);
    for (T& x : student) x = static_cast<T>(normal(random));
    for (T& x : teacher) x = static_cast<T>(normal(random));
  }
  /// The same numbers in another type.
  template <class U>
  explicit features(const features<U>& x)
      : samples(x.samples),
        columns(x.columns),
        teacher_columns(x.teacher_columns),
        student(x.student.begin(), x.student.end()),
        teacher(x.teacher.begin(), x.teacher.end()),
        gradient(x.gradient.size()),
        teacher_gradient(x.teacher_gradient.size()),
        labels(x.labels),
        student_temperature(x.student_temperature),
        teacher_temperature(x.teacher_temperature) {}

  limbeck::rows<const T> s() const { return {student.data(), samples, columns}; }
  limbeck::rows<const T> t() const { return {teacher.data(), samples, teacher_columns}; }
  limbeck::rows<T> g() { return {gradient.data(), samples, columns}; }
  void teach() { teacher_gradient.resize(teacher.size()); }

  /// Over views of the caller's, strided ones too; the gradient is added to @p gradient_view.
  template <class Loss, class Executor>
  double over(const Loss& loss, limbeck::rows<const T> s_view, limbeck::rows<const T> t_view,
              limbeck::rows<T> gradient_view, double scale, Executor&& executor) {
    limbeck::any_vector y;
    if (!labels.empty()) y = limbeck::any_vector(labels.data(), labels.size()).given();
    const limbeck::executor_ref on(executor);
    limbeck::scratch scratch(memory);
    const limbeck::batch<T> x{s_view,
                              t_view,
                              y,
                              gradient_view,
                              static_cast<T>(scale),
                              student_temperature,
                              teacher_temperature,
                              scratch,
                              on,
                              limbeck::detail::dense_of<T>(),
                              {},
                              0,
                              wanted_of_teacher(gradient_view)};
    return loss(x);
  }
  template <class Executor, class Loss>
  double run_on(Executor&& executor, const Loss& loss, double scale = 1) {
    std::fill(gradient.begin(), gradient.end(), T(0));
    std::fill(teacher_gradient.begin(), teacher_gradient.end(), T(0));
    return over(loss, s(), t(), g(), scale, executor);
  }
  template <class Loss>
  double run(const Loss& loss, double scale = 1) {
    return run_on(limbeck::serial{}, loss, scale);
  }
  template <class Loss>
  double value(const Loss& loss) {
    return over(loss, s(), t(), limbeck::rows<T>{}, 1, limbeck::serial{});
  }
  /// The largest difference of the gradient from central differences, by the gradient's largest element.
  template <class Loss>
  double difference(const Loss& loss, double step = 1e-5) {
    run(loss);
    return difference_of(student, gradient, loss, step);
  }
  /// The same of the teacher's gradient, alone and beside the student's.
  template <class Loss>
  double teacher_difference(const Loss& loss, double step = 1e-5) {
    teach();
    run(loss);
    const std::vector<T> beside = teacher_gradient;
    std::fill(teacher_gradient.begin(), teacher_gradient.end(), T(0));
    teacher_alone_ = true;
    over(loss, s(), t(), limbeck::rows<T>{}, 1, limbeck::serial{});
    teacher_alone_ = false;
    return beside == teacher_gradient ? difference_of(teacher, beside, loss, step) : INFINITY;
  }

 private:
  bool teacher_alone_ = false;
  limbeck::rows<T> wanted_of_teacher(const limbeck::rows<T>& gradient_view) {
    const bool wanted = !teacher_gradient.empty() && (teacher_alone_ || gradient_view.data);
    return {wanted ? teacher_gradient.data() : nullptr, samples, teacher_columns};
  }
  template <class Loss>
  double difference_of(std::vector<T>& numbers, const std::vector<T> exact, const Loss& loss, double step) {
    double worst = 0, largest = 0;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const T kept = numbers[i];
      numbers[i] = kept + static_cast<T>(step);
      const double above = value(loss);
      numbers[i] = kept - static_cast<T>(step);
      const double below = value(loss);
      numbers[i] = kept;
      worst = (std::max)(worst, std::fabs((above - below) / (2 * step) - static_cast<double>(exact[i])));
      largest = (std::max)(largest, std::fabs(static_cast<double>(exact[i])));
    }
    return largest > 0 ? worst / largest : worst;
  }
};

}  // namespace limbeck_test

#endif
