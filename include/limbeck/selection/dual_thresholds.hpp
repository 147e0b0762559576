#ifndef LIMBECK_SELECTION_DUAL_THRESHOLDS_HPP
#define LIMBECK_SELECTION_DUAL_THRESHOLDS_HPP

/// @file
/// Rows whose teacher is sure and whose student is not.

#include <limbeck/ranks/order_statistics.hpp>
#include <limbeck/selection/pseudo_labels.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Settings of dual_thresholds.
struct dual_thresholds_settings {
  double momentum = 0.9;       ///< of the moving averages, in [0, 1]
  double teacher_scale = 1.0;  ///< factor of the teacher's thresholds; 0 lets every row pass
  double student_scale = 1.0;  ///< factor of the student's
};

/// Two thresholds for every class y, one for the teacher's confidence c = max p and one for the student's entropy u: a
/// row with the teacher's prediction y is kept, with the label y, where c >= tau_T(y) and u >= tau_S(y).
///
/// What is kept is that of LLKD: Li et al., Learning with Less, 2025, arXiv:2411.08028: teacher confident, student
/// uncertain, both signals against class-wise thresholds that move with training. **How they move is this library's**,
/// for the paper's equations could not be read and no code of its authors was found: tau(y) = scale * g * m(y)/max m,
/// with g the moving average of a batch's mean signal, and m(y) that of its mean over the batch's rows with prediction
/// y (not moved by a batch without one); the first batch, or the first with that class, starts the average; classes not
/// seen yet have tau = scale * g. The paper also weighs the loss by both signals; for that, `weighted` losses take any
/// signal.
class dual_thresholds {
 public:
  /// @throws shape_error where there are no classes, value_error where the momentum is no fraction or a scale negative.
  explicit dual_thresholds(std::size_t classes, dual_thresholds_settings settings = {})
      : settings_(settings), teacher_(classes), student_(classes) {
    if (classes == 0) raise<shape_error>("limbeck: no classes");
    detail::check_fraction("momentum", settings.momentum);
    check_scale("teacher_scale", settings.teacher_scale);
    check_scale("student_scale", settings.student_scale);
  }
  /// Takes a batch of logits into the thresholds and labels it by them: the teacher's class, or -100. Returns how many
  /// rows are kept. @throws value_error where a logit is NaN, shape_error where shapes do not fit.
  template <class Student, class Teacher, class Labels>
    requires(!communicator<Student>)
  std::size_t operator()(const Student& student, const Teacher& teacher, Labels&& labels) {
    return label(one_rank{}, student, teacher, labels);
  }
  /// The same by thresholds of all ranks: each has rows of its own, also none, and the averages move by those of all, whose sums are added
  /// in the order of the ranks. Returns how many rows are kept on all together. Sends 4 x classes + 4 doubles.
  template <communicator C, class Student, class Teacher, class Labels>
  std::size_t operator()(const C& comm, const Student& student, const Teacher& teacher, Labels&& labels) {
    return all_reduce_sum(comm, label(comm, student, teacher, labels));
  }
  /// tau_T(c), of a probability.
  double teacher_threshold(std::size_t c) const { return settings_.teacher_scale * teacher_.at(c); }
  /// tau_S(c), of an entropy in nats.
  double student_threshold(std::size_t c) const { return settings_.student_scale * student_.at(c); }
  /// Saves or restores the averages. @throws value_error where they are of another number of classes.
  template <class Archive>
  void serialize(Archive& archive) {
    averages teacher = teacher_, student = student_;
    archive("teacher", teacher);
    archive("student", student);
    detail::check_restored("teacher", teacher.of_class, teacher_.of_class);
    detail::check_restored("student", student.of_class, student_.of_class);
    teacher_ = std::move(teacher);
    student_ = std::move(student);
  }

 private:
  template <class C, class Student, class Teacher, class Labels>
  std::size_t label(const C& comm, const Student& student, const Teacher& teacher, Labels&& labels) {
    const std::size_t classes = teacher_.of_class.size();
    const auto rows_of_batch = static_cast<std::size_t>(labels.size());
    std::vector<double> confidence_of(rows_of_batch), entropy_of(rows_of_batch);
    std::vector<std::size_t> predicted(rows_of_batch);
    const auto read = [&] {
      detail::label_rows(student, labels, classes, [&](std::size_t r, const auto& p, std::size_t) {
        entropy_of[r] = detail::entropy_of(p);
        return false;
      });
      detail::label_rows(teacher, labels, classes, [&](std::size_t r, const auto& p, std::size_t best) {
        confidence_of[r] = p[best];
        predicted[r] = best;
        return false;
      });
    };
    std::vector<double> batch = teacher_.no_sums(), of_student = batch;
    agree(comm, read);
    detail::require_alike(comm, static_cast<double>(classes), "the number of classes");
    averages::add(confidence_of, predicted, batch);
    averages::add(entropy_of, predicted, of_student);
    const std::size_t length = batch.size();
    batch.insert(batch.end(), of_student.begin(), of_student.end());
    all_reduce_sum(comm, std::span<double>(batch));
    teacher_.move(std::span<const double>(batch).first(length), settings_.momentum);
    student_.move(std::span<const double>(batch).last(length), settings_.momentum);
    const auto out = detail::vector_memory(labels);
    std::size_t kept = 0;
    for (std::size_t r = 0; r < predicted.size(); ++r)
      if (confidence_of[r] >= teacher_threshold(predicted[r]) && entropy_of[r] >= student_threshold(predicted[r])) {
        detail::put(out, r, predicted[r]);
        ++kept;
      }
    return kept;
  }
  static void check_scale(const char* name, double scale) {
    if (!(scale >= 0))
      raise<value_error>(std::string("limbeck: ") + name + " is " + detail::show(scale) + ", expected at least 0");
  }
  /// Moving averages of one signal; -1 where nothing has been seen: signals are not negative.
  struct averages {
    explicit averages(std::size_t classes) : of_class(classes, -1) {}
    double mean = -1;
    std::vector<double> of_class;

    static void take(double& average, double value, double momentum) {
      if (average < 0) {
        average = value;
      } else {
        detail::move_average(average, value, momentum);
      }
    }
    // Of a batch: for each class, and last for all, the sum of the signal and how many rows have it.
    std::vector<double> no_sums() const { return std::vector<double>(2 * of_class.size() + 2, 0.0); }
    static void add(const std::vector<double>& signal_of, const std::vector<std::size_t>& predicted, std::span<double> sums) {
      for (std::size_t r = 0; r < signal_of.size(); ++r)
        for (const std::size_t at : {2 * predicted[r], sums.size() - 2}) sums[at] += signal_of[r], sums[at + 1] += 1;
    }
    void move(std::span<const double> sums, double momentum) {
      const std::size_t all = 2 * of_class.size();
      if (sums[all + 1] == 0) return;
      take(mean, sums[all] / sums[all + 1], momentum);
      for (std::size_t c = 0; c < of_class.size(); ++c)
        if (sums[2 * c + 1] > 0) take(of_class[c], sums[2 * c] / sums[2 * c + 1], momentum);
    }
    double at(std::size_t c) const {
      const double most = *std::max_element(of_class.begin(), of_class.end());
      return of_class[c] < 0 || most <= 0 ? (std::max)(mean, 0.0) : mean * (of_class[c] / most);
    }
    template <class Archive>
    void serialize(Archive& archive) {
      archive("mean", mean);
      archive("of_class", of_class);
    }
  };
  dual_thresholds_settings settings_;
  averages teacher_, student_;
};

LIMBECK_END_NAMESPACE

#endif
