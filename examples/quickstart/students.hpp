#ifndef LIMBECK_QUICKSTART_STUDENTS_HPP
#define LIMBECK_QUICKSTART_STUDENTS_HPP

// The page to read first: three ways to train one small network. They differ in the rows that it sees and
// in the objective, and in nothing else.

#include "../common/data.hpp"
#include "../common/mlp.hpp"
#include "fit.hpp"

#include <limbeck/eigen.hpp>

#include <array>
#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

namespace quickstart {

enum class recipe { alone, own_rows, pool };
constexpr std::array recipes{recipe::alone, recipe::own_rows, recipe::pool};

struct student_settings {
  int width = 64;            // 16-64-64-26
  int labels = 1'600;        // labels are known for the first rows only; the others are the pool
  double hot = 8, cold = 1;  // the temperature falls from `hot` to `cold`
};

inline const char* name_of(recipe how) {
  switch (how) {
    case recipe::alone: return "student alone on its labels";
    case recipe::own_rows: return "student distilled on the same rows";
    case recipe::pool: return "student distilled on the pool";
  }
  return "";
}

/// What each student minimises. The workspace is the caller's, so that no update allocates.
inline loss_function objective_of(recipe how, const student_settings& student, lk::workspace& workspace) {
  const auto hard = lk::cross_entropy{};
  const auto soft = lk::at_temperature(lk::cosine(student.hot, student.cold), lk::forward_kl{});

  if (how == recipe::alone)  // labels only
    return [&workspace, objective = lk::objective(hard)](const batch& b, const matrix& logits, lk::progress,
                                                         matrix& gradient) {
      objective(logits, b.labels, lk::into(gradient), workspace);
    };

  if (how == recipe::own_rows)  // labels and teachers
    return [&workspace, objective = 0.1 * hard + 0.9 * soft](const batch& b, const matrix& logits, lk::progress now,
                                                             matrix& gradient) {
      objective(logits, b.teacher, b.labels, now, lk::into(gradient), workspace);
    };

  // The pool: teachers only, so that a row without a label is worth as much as one with.
  return [&workspace, objective = soft](const batch& b, const matrix& logits, lk::progress now, matrix& gradient) {
    objective(logits, b.teacher, now, lk::into(gradient), workspace);
  };
}

/// Which rows of the training set a student sees: those with labels, or all. Rows held out for validation,
/// [first, last), are left out either way.
inline std::vector<int> rows_of(recipe how, const student_settings& student, std::pair<int, int> held_out) {
  std::vector<int> rows(static_cast<std::size_t>(how == recipe::pool ? training_rows : student.labels));
  std::iota(rows.begin(), rows.end(), 0);
  rows.erase(rows.begin() + held_out.first, rows.begin() + held_out.second);
  return rows;
}

inline mlp train_student(recipe how, const dataset& data, const matrix& teacher, const student_settings& student,
                         std::pair<int, int> held_out, const fit_settings& settings, const observer& after) {
  mlp net({letter_features, student.width, student.width, letter_classes}, settings.seed);
  lk::workspace workspace;
  fit(net, data, teacher, rows_of(how, student, held_out), settings, objective_of(how, student, workspace), after);
  return net;
}

}  // namespace quickstart

#endif
