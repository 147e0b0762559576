#ifndef LIMBECK_TARGET_FILL_HPP
#define LIMBECK_TARGET_FILL_HPP

/// @file
/// A target's rows as a tensor: to cache them, to send them to a device, for losses that relate samples to each other.

#include <limbeck/core/executor.hpp>
#include <limbeck/core/progress.hpp>
#include <limbeck/target/row_functions.hpp>

#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <target Target, class T>
void fill_rows(const Target& t, const rows<T>& out, const rows<const T>& student, const any_vector& labels, double at) {
  if (out.samples != t.samples() || out.classes != t.classes())
    throw_shape("out", out.samples, out.classes, t.samples(), t.classes());
  if (target_needs_student<Target>() && !student.data && t.samples() > 0)
    raise<value_error>("limbeck: this target reads the student's logits; pass them to fill");
  if (target_needs_labels<Target>() && labels.empty() && t.samples() > 0)
    raise<value_error>("limbeck: this target mixes the labels in; pass them to fill");
  if (student.data && (student.samples != t.samples() || student.classes != t.classes()))
    throw_shape("student", student.samples, student.classes, t.samples(), t.classes());
  if (!labels.empty() && labels.size() != t.samples()) throw_length("labels", labels.size(), t.samples());
  const std::size_t n = t.classes();
  std::vector<T> memory(n * Target::scratch_rows), row(out.class_stride == 1 ? 0 : n);
  for (std::size_t r = 0; r < out.samples; ++r) {
    const std::int64_t label = labels.empty() ? -1 : labels.integer(r);
    if (target_needs_labels<Target>() && label >= static_cast<std::int64_t>(n))
      raise<value_error>("limbeck: label " + std::to_string(label) + " in row " + std::to_string(r) +
                         ", expected 0 to " + std::to_string(n - 1) + ", or a negative one for none");
    const std::span<T> to = out.class_stride == 1 ? std::span<T>(out.row(r), n) : std::span<T>(row);
    t.fill({r, to, memory, student, label, at});
    if (out.class_stride != 1)
      for (std::size_t c = 0; c < n; ++c) out(r, c) = row[c];
  }
}

template <class T, class A>
void take_fill_argument(const A& a, rows<const T>& student, any_vector& labels, double& at) {
  if constexpr (std::is_same_v<A, progress>) {
    at = a.fraction();
  } else if constexpr (tensor<A>) {
    static_assert(std::is_same_v<typename tensor_traits<A>::scalar, T>,
                  "limbeck: student and target hold different scalar types; float goes with float, double with double");
    student = tensor_traits<A>::view(a);
  } else {
    static_assert(
        std::is_integral_v<vector_element_t<A>>,
        "limbeck: fill takes, after target and out, a student's tensor, a vector of integer labels and progress");
    labels = view_vector(a);
  }
}

}  // namespace detail

/// Writes all rows of a target: `fill(mean_of_probabilities(a, b), into_here)`, then in any order what the target
/// reads: the student's logits, a vector of integer labels (negative: none), `progress`.
///
/// @param t the target, of samples x classes
/// @param out tensor of that shape, of the target's scalar type, in host memory; it may be none that the target reads
/// @param more what the target reads
/// @throws shape_error where shapes differ, value_error where the target needs a student or labels that are not given,
///   or a label is no class. Rows are written as they are, NaN and all: who reads them reports them.
template <target Target, class Out, class... More>
void fill(const Target& t, Out&& out, const More&... more) {
  using T = typename Target::scalar;
  using Tensor = std::remove_cvref_t<Out>;
  static_assert(tensor<Tensor>, "limbeck: out is no tensor of floats (is its backend's header included?)");
  static_assert(std::is_same_v<typename tensor_traits<Tensor>::scalar, T>,
                "limbeck: out and target hold different scalar types; float goes with float, double with double");
  rows<const T> student{};
  any_vector labels{};
  double at = 0;
  (detail::take_fill_argument<T>(more, student, labels, at), ...);
  detail::fill_rows<Target, T>(t, tensor_traits<Tensor>::view(out), student, labels, at);
}

LIMBECK_END_NAMESPACE

#endif
