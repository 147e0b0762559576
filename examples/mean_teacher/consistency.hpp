#ifndef LIMBECK_MEAN_TEACHER_CONSISTENCY_HPP
#define LIMBECK_MEAN_TEACHER_CONSISTENCY_HPP

// What a mean teacher adds to a training: the ramp of the loss between two views, and rows of which a few have labels.

#include "../common/data.hpp"
#include "../common/draw.hpp"

#include <limbeck/eigen.hpp>

#include <cmath>
#include <cstddef>
#include <span>

namespace mean_teacher {

using namespace examples;
namespace lk = limbeck;

/// The paper's ramp: to exp(-5 (1 - t)^2) over the first fifth of the run, t from 0 to 1, and level from there.
/// A schedule of one's own.
struct ramp_up {
  using limbeck_schedule = void;
  double to, over = 0.2;
  double operator()(double x) const { return x < over ? to * std::exp(-5 * (1 - x / over) * (1 - x / over)) : to; }
};

/// A data source: the rows of `all`, without labels, and behind them the labelled ones. A row without a label is one
/// whose soft label is 0 for every class: it counts nothing in the cross-entropy, and in full for the teacher.
/// (The label -100 would take it out of both.)
struct partly_labelled {
  const dataset& all;
  const row_numbers& labelled;

  struct rows {
    matrix inputs, soft_labels;
  };
  std::size_t size() const { return all.size() + labelled.size(); }
  rows batch(std::span<const std::size_t> numbers) const {
    const auto count = static_cast<Eigen::Index>(numbers.size());
    rows b{matrix(count, all.features.cols()), matrix::Zero(count, static_cast<Eigen::Index>(all.classes.size()))};
    for (Eigen::Index i = 0; i < count; ++i) {
      const std::size_t number = numbers[static_cast<std::size_t>(i)];
      const std::size_t row = number < all.size() ? number : labelled[number - all.size()];
      b.inputs.row(i) = all.features.row(static_cast<Eigen::Index>(row));
      if (number >= all.size()) b.soft_labels(i, all.labels[row]) = 1;
    }
    return b;
  }
};

}  // namespace mean_teacher

#endif
