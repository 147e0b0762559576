#ifndef LIMBECK_TARGET_FILL_HPP
#define LIMBECK_TARGET_FILL_HPP

/// @file
/// A target's rows as a tensor: to cache them, to send them elsewhere, for losses that relate samples to each other.

#include <limbeck/core/executor.hpp>
#include <limbeck/core/progress.hpp>
#include <limbeck/core/workspace.hpp>
#include <limbeck/target/row_functions.hpp>

#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// What a target is asked with.
template <class T>
struct fill_arguments {
  rows<const T> student{};
  any_vector labels{};
  double progress = 0;
};

template <target Target, class T>
void check_fill(const Target& t, const rows<T>& out, const fill_arguments<T>& in) {
  if (out.samples != t.samples() || out.classes != t.classes())
    throw_shape("out", out.samples, out.classes, t.samples(), t.classes());
  if (target_needs_student<Target>() && !in.student.data && t.samples() > 0)
    raise<value_error>("limbeck: this target reads the student's logits; pass them to fill");
  if (target_needs_labels<Target>() && in.labels.empty() && t.samples() > 0)
    raise<value_error>("limbeck: this target mixes the labels in; pass them to fill");
  if (in.student.data && (in.student.samples != t.samples() || in.student.classes != t.classes()))
    throw_shape("student", in.student.samples, in.student.classes, t.samples(), t.classes());
  if (!in.labels.empty() && in.labels.size() != t.samples()) throw_length("labels", in.labels.size(), t.samples());
}

/// Who fills; a backend with memory of its own specialises it.
template <class Memory>
struct filler_for;
template <>
struct filler_for<host_rows> {
  using workspace_type = workspace;
  template <target Target, class T>
  static void run(const Target& t, const rows<T>& out, const fill_arguments<T>& in, workspace&) {
    const std::size_t n = t.classes();
    std::vector<T> memory(n * Target::scratch_rows), row(out.class_stride == 1 ? 0 : n);
    for (std::size_t r = 0; r < out.samples; ++r) {
      const std::int64_t label = in.labels.empty() ? -1 : in.labels.integer(r);
      if (target_needs_labels<Target>() && label >= static_cast<std::int64_t>(n))
        raise<value_error>("limbeck: label " + std::to_string(label) + " in row " + std::to_string(r) +
                           ", expected 0 to " + std::to_string(n - 1) + ", or a negative one for none");
      const std::span<T> to = out.class_stride == 1 ? std::span<T>(out.row(r), n) : std::span<T>(row);
      t.fill(target_row<T>{r, to, memory, in.student, label, in.progress});
      if (out.class_stride != 1)
        for (std::size_t c = 0; c < n; ++c) out(r, c) = row[c];
    }
  }
};

template <class Memory, class T, class Workspace, class A>
void take_fill_argument(A& a, fill_arguments<T>& in, Workspace*& ws) {
  using Bare = std::remove_const_t<A>;
  if constexpr (std::is_same_v<Bare, progress>) {
    in.progress = a.fraction();
  } else if constexpr (requires { typename Bare::limbeck_workspace; }) {
    static_assert(std::is_same_v<A, Workspace>, "limbeck: fill takes a workspace for rows on the host, a device_workspace for "
                                                "rows on a device, and neither is const");
    if constexpr (std::is_same_v<A, Workspace>) ws = &a;
  } else if constexpr (tensor<Bare>) {
    static_assert(std::is_same_v<typename tensor_traits<Bare>::scalar, T>,
                  "limbeck: student and target hold different scalar types; float goes with float, double with double");
    static_assert(std::is_same_v<typename tensor_traits<Bare>::sweep, Memory>,
                  "limbeck: the student lives in another memory (host or device) than the target");
    in.student = tensor_traits<Bare>::view(a);
  } else {
    static_assert(
        std::is_integral_v<vector_element_t<Bare>>,
        "limbeck: fill takes, after target and out, a student's tensor, a vector of integer labels, progress and a workspace");
    static_assert(std::is_same_v<vector_memory_t<Bare>, Memory>,
                  "limbeck: the labels live in another memory (host or device) than the target");
    in.labels = view_vector(a);
  }
}

}  // namespace detail

/// Writes all rows of a target: `fill(mean_of_probabilities(a, b), into_here)`, then in any order what the target
/// reads: the student's logits, a vector of integer labels (negative: none), `progress`; and a workspace.
///
/// @param t the target, of samples x classes
/// @param out tensor of that shape, of the target's scalar type, in the memory of the target's tensors; it may be none that the
///   target reads. On a device it is written in the order of the device_workspace's stream.
/// @param more what the target reads, in the same memory
/// @throws shape_error where shapes differ, value_error where the target needs a student or labels that are not given,
///   or a label is no class (on a device such a row becomes NaN). Rows are written as they are, NaN and all: who reads them
///   reports them.
template <target Target, class Out, class... More>
void fill(const Target& t, Out&& out, More&&... more) {
  using T = typename Target::scalar;
  using Tensor = std::remove_cvref_t<Out>;
  using Memory = detail::target_memory<Target>;
  static_assert(tensor<Tensor>, "limbeck: out is no tensor of floats (is its backend's header included?)");
  static_assert(std::is_same_v<typename tensor_traits<Tensor>::scalar, T>,
                "limbeck: out and target hold different scalar types; float goes with float, double with double");
  static_assert(std::is_same_v<typename tensor_traits<Tensor>::sweep, Memory>,
                "limbeck: out lives in another memory (host or device) than the target");
  if constexpr (std::is_same_v<typename tensor_traits<Tensor>::sweep, Memory>) {
    using Filler = detail::filler_for<Memory>;
    typename Filler::workspace_type local;
    typename Filler::workspace_type* ws = &local;
    detail::fill_arguments<T> in;
    (detail::take_fill_argument<Memory>(more, in, ws), ...);
    const rows<T> to = tensor_traits<Tensor>::view(out);
    detail::check_fill(t, to, in);
    Filler::run(t, to, in, *ws);
  }
}

LIMBECK_END_NAMESPACE

#endif
