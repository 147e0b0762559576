#ifndef LIMBECK_DENSE_INSTANCES_HPP
#define LIMBECK_DENSE_INSTANCES_HPP

/// @file
/// Which boxes of two detectors to distil: those about which they disagree most.

#include <limbeck/dense/box.hpp>
#include <limbeck/dense/grid.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// One of the boxes that general_instances chooses.
struct general_instance {
  std::size_t row = 0;      ///< of both detectors' outputs
  double score = 0;         ///< max_c |p_t - p_s|
  box where;                ///< the box of the surer detector
  bool of_teacher = false;  ///< whether that is the teacher
};

/// General instance selection: a row's score is its largest difference of a class's probabilities, max_c |p_t - p_s|;
/// its box is the teacher's where its highest probability is the larger one, else the student's; of these the highest
/// scores that do not overlap, by non_maximum(). No label is read: whether a box is an object does not matter. The
/// chosen are held fixed; the losses on their features and answers are yours.
///
/// Dai et al., General Instance Distillation for Object Detection, 2021, arXiv:2103.02340 (10 of them, at an overlap of
/// 0.3), after its equations.
struct general_instances {
  double threshold = 0.3;  ///< the most that two chosen boxes overlap, in [0, 1]
  std::size_t most = 10;   ///< how many at most

  /// @p student_scores and @p teacher_scores are probabilities, rows x classes; boxes are one a row. The chosen by
  /// falling score. O(rows (classes + log rows + most)).
  /// @throws shape_error where shapes differ, value_error where a probability is not finite, a box is none or the
  /// threshold is not in [0, 1].
  template <tensor Student, tensor Teacher>
  std::vector<general_instance> operator()(const Student& student_scores, const Teacher& teacher_scores,
                                           std::span<const box> student_boxes,
                                           std::span<const box> teacher_boxes) const {
    const auto s = detail::host_view(student_scores);
    const auto t = detail::host_view(teacher_scores);
    detail::check_shape("teacher_scores", t, s.samples, s.classes);
    if (student_boxes.size() != s.samples) detail::throw_length("student_boxes", student_boxes.size(), s.samples);
    if (teacher_boxes.size() != s.samples) detail::throw_length("teacher_boxes", teacher_boxes.size(), s.samples);
    std::vector<general_instance> all(s.samples);
    std::vector<double> scores(s.samples);
    std::vector<box> boxes(s.samples);
    for (std::size_t r = 0; r < s.samples; ++r) {
      double of_student = -std::numeric_limits<double>::infinity(), of_teacher = of_student;
      for (std::size_t c = 0; c < s.classes; ++c) {
        const double p = static_cast<double>(t(r, c)), q = static_cast<double>(s(r, c));
        if (p - p != 0 || q - q != 0)
          raise<value_error>("limbeck: the scores are " + detail::show(p - p != 0 ? p : q) + " at row " +
                             std::to_string(r) + ", column " + std::to_string(c) + ", expected finite ones");
        scores[r] = (std::max)(scores[r], std::abs(p - q));
        of_teacher = (std::max)(of_teacher, p);
        of_student = (std::max)(of_student, q);
      }
      const bool teacher = of_teacher > of_student;
      boxes[r] = teacher ? teacher_boxes[r] : student_boxes[r];
      all[r] = {r, scores[r], boxes[r], teacher};
    }
    std::vector<general_instance> chosen;
    for (const std::size_t r : non_maximum(boxes, scores, threshold, most)) chosen.push_back(all[r]);
    return chosen;
  }
};

LIMBECK_END_NAMESPACE

#endif
