#ifndef LIMBECK_ENGINE_PROBLEM_HPP
#define LIMBECK_ENGINE_PROBLEM_HPP

/// @file
/// The arguments of one call, as the sweeps see them: views and numbers, no tensor type left.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>

#include <array>
#include <cstdint>
#include <limits>

LIMBECK_BEGIN_NAMESPACE

/// What an objective returns. Converts to its loss.
struct evaluation {
  double loss = 0;          ///< the reduced loss
  double weight = 0;        ///< sum of the weights of the valid rows, which `mean` divides by
  std::size_t rows = 0;     ///< number of valid rows
  /// d loss / d T of each `learned` temperature, in order of appearance.
  std::array<double, 8> temperature_gradient{};
  constexpr operator double() const { return loss; }
};

namespace detail {

enum class reduction { mean, sum, none };

/// What can be wrong with a row.
enum class fault : int { none, label, row_temperature, student, teacher, soft_labels };

template <class T>
struct problem {
  rows<const T> student, teacher, soft_labels;
  rows<T> gradient;
  any_vector labels, row_weights, row_mask, row_temperatures, class_mask;
  T* row_losses = nullptr;
  T* row_temperature_gradient = nullptr;
  double progress = 0;
  std::int64_t ignore_index = -100;
  reduction reduce = reduction::mean;
  double mean_over = 0;   ///< 0: the weight of this call's own rows
  double normalizer = 1;  ///< 1 / what the sum is divided by

  std::size_t samples() const { return student.samples; }
  std::size_t classes() const { return student.classes; }

  LIMBECK_HOST_DEVICE bool valid(std::size_t r) const {
    return !(row_mask.data() && row_mask.number(r) == 0) && !(labels.data() && labels.integer(r) == ignore_index);
  }
  LIMBECK_HOST_DEVICE double weight(std::size_t r) const { return row_weights.data() ? row_weights.number(r) : 1.0; }
  LIMBECK_HOST_DEVICE std::int64_t label(std::size_t r) const { return labels.data() ? labels.integer(r) : -1; }
};

/// Says what is wrong with row @p r. Called once, after the sweep, so it may take its time.
template <class T>
[[noreturn]] void throw_fault(const problem<T>& in, fault code, std::size_t r) {
  const std::string at = " at row " + std::to_string(r);
  const auto scan = [&](const char* who, const rows<const T>& x) {
    bool all_masked = true;
    for (std::size_t c = 0; c < x.classes; ++c) {
      const double v = static_cast<double>(x(r, c));
      if (v != v || v > (std::numeric_limits<double>::max)())
        throw value_error(std::string("limbeck: ") + who + " is " + show(v) + at + ", class " + std::to_string(c) +
                          "; logits are finite, or -inf for a masked class");
      all_masked = all_masked && v < -(std::numeric_limits<double>::max)();
    }
    throw value_error(std::string("limbeck: ") + who + " is -inf" + at + " in " +
                      (all_masked ? "all" : "all remaining") + " " + std::to_string(x.classes) +
                      " classes; a row needs one that is not masked");
  };
  switch (code) {
    case fault::label:
      throw value_error("limbeck: labels is " + std::to_string(in.labels.integer(r)) + at + ", expected 0 to " +
                        std::to_string(in.classes() - 1) + ", or ignore_index " + std::to_string(in.ignore_index));
    case fault::row_temperature:
      throw value_error("limbeck: row_temperatures is " + show(in.row_temperatures.number(r)) + at +
                        ", expected a positive number");
    case fault::soft_labels:
      for (std::size_t c = 0; c < in.soft_labels.classes; ++c) {
        const double v = static_cast<double>(in.soft_labels(r, c));
        if (!(v >= 0 && v <= (std::numeric_limits<double>::max)()))
          throw value_error("limbeck: soft_labels is " + show(v) + at + ", class " + std::to_string(c) +
                            "; probabilities are finite and not negative");
      }
      break;
    case fault::teacher: scan("teacher", in.teacher); break;
    default: scan("student", in.student); break;
  }
  throw value_error("limbeck: a value" + at + " is out of its domain");
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
