#ifndef LIMBECK_AVERAGING_RESTORE_HPP
#define LIMBECK_AVERAGING_RESTORE_HPP

/// @file
/// Restoring: parts of a network that has adapted go back to the source model. For continual test-time adaptation.

#include <limbeck/averaging/averager.hpp>
#include <limbeck/averaging/parameters.hpp>
#include <limbeck/core/quantile.hpp>
#include <limbeck/core/random.hpp>
#include <limbeck/core/workspace.hpp>
#include <limbeck/ranks/order_statistics.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {
/// Magnitudes as whole numbers in their order. @throws value_error where one is NaN.
template <class T>
std::span<std::uint64_t> keys_of_magnitudes(const std::vector<std::span<const T>>& tensors, scratch& room) {
  const std::span<std::uint64_t> keys = room.take<std::uint64_t>(total_size(tensors));
  auto* end = keys.data();
  for (std::size_t t = 0; t < tensors.size(); ++t)
    for (std::size_t i = 0; i < tensors[t].size(); ++i) {
      const auto magnitude = static_cast<double>(std::fabs(tensors[t][i]));
      if (magnitude != magnitude) throw_nan_gradient(t, i);
      *end++ = ordered_bits(magnitude);
    }
  return keys;
}
}  // namespace detail
/// @endcond

/// Each parameter goes back to its source value with one probability: theta <- m source + (1 - m) theta, m ~ Bernoulli.
/// Wang, Fink, Van Gool and Dai, CoTTA, 2022, arXiv:2203.13591 (0.01 there).
///
/// CoTTA's step: the student's optimiser, then `teacher.update(student)`, then the restore of the student. One draw of
/// the stream a tensor, so that host and device restore the same elements. Over ranks that hold parts of the parameters it is each
/// rank's own affair, with a stream of its own: `random.split(world.rank())`.
struct stochastic_restore {
  double rate = 0.01;  ///< the probability, in [0, 1]
  /// @throws shape_error where the shapes differ; value_error where the rate is not in [0, 1].
  template <parameter_range Parameters, parameter_range Source>
  void operator()(Parameters&& parameters, const Source& source, random_stream& random) const {
    using T = detail::parameter_t<Parameters>;
    using ops = detail::parameter_memory<detail::parameter_memory_t<Parameters>>;
    if (!(rate >= 0 && rate <= 1))
      raise<value_error>("limbeck: stochastic_restore::rate is " + detail::show(rate) + ", expected a number in [0, 1]");
    const auto to = detail::views_of<T>(parameters, "parameter tensor");
    const auto from = detail::views_of<const T>(source, "source tensor");
    detail::require_same_shapes(from, to, "source", "as the parameters");
    for (std::size_t t = 0; t < to.size(); ++t)
      ops::copy_some(from[t].data(), to[t].data(), to[t].size(), random(), rate);
  }
};

/// The quantile of the squared gradient over all parameters of all ranks, each of which brings its part (or nothing): the Fisher
/// information of one batch, between order statistics, linear at fraction (n - 1), as `numpy.quantile`. The number of one machine,
/// exactly. @p memory holds a copy of this rank's gradients (a device has its own; over ranks they are read on the host). Sends 10
/// messages of at most 2 KiB to each rank, however many parameters there are.
/// @throws (on all ranks) value_error where the fraction is not in [0, 1] or not the same on all, or a gradient is NaN; shape_error
///         without a gradient.
template <communicator C, parameter_range Gradients>
double fisher_quantile(const C& comm, const Gradients& gradients, double fraction, workspace& memory) {
  using T = detail::parameter_t<Gradients>;
  using ops = detail::parameter_memory<detail::parameter_memory_t<Gradients>>;
  constexpr bool alone = std::is_same_v<C, one_rank>;
  static_assert(alone || std::is_same_v<detail::parameter_memory_t<Gradients>, host_rows>,
                "limbeck: over ranks a quantile of gradients is found on the host, whose messages travel; copy them there");
  scratch room(memory);
  std::span<std::uint64_t> keys;
  const auto views = agree(comm, [&] {
    if (!(fraction >= 0 && fraction <= 1))
      raise<value_error>("limbeck: the quantile is " + detail::show(fraction) + ", expected a fraction in [0, 1]");
    const auto own = detail::views_of<const T>(gradients, "gradient tensor");
    if constexpr (!alone) keys = detail::keys_of_magnitudes(own, room);
    return own;
  });
  detail::require_alike(comm, fraction, "the quantile");
  const auto n = all_reduce_sum(comm, std::uint64_t{detail::total_size(views)});
  if (n == 0) raise<shape_error>("limbeck: the gradients hold no element");
  const double place = fraction * static_cast<double>(n - 1);
  const double rank = std::floor(place);
  const auto [low, high] = [&]() -> std::pair<double, double> {
    if constexpr (alone) {
      return ops::magnitudes_at(views, static_cast<std::size_t>(rank), memory);
    } else {
      const auto at = detail::number_at(comm, keys, static_cast<std::uint64_t>(rank));
      return {at.number, at.next};
    }
  }();
  return detail::between(low * low, high * high, place - rank);
}
/// The same of one machine's gradients.
template <parameter_range Gradients>
double fisher_quantile(const Gradients& gradients, double fraction, workspace& memory) {
  return fisher_quantile(one_rank{}, gradients, fraction, memory);
}

/// @cond
namespace detail {
/// @throws shape_error where source or gradients have other shapes than the parameters, called @p like.
template <parameter_range Parameters, parameter_range Source, parameter_range Gradients>
void require_restorable(Parameters&& parameters, const Source& source, const Gradients& gradients, const char* like) {
  using T = parameter_t<Parameters>;
  const auto to = views_of<const T>(parameters, "parameter tensor");
  require_same_shapes(views_of<const T>(source, "source tensor"), to, "source", like);
  require_same_shapes(views_of<const T>(gradients, "gradient tensor"), to, "gradients", like);
}
}  // namespace detail
/// @endcond

/// Parameters whose squared gradient lies below @p threshold (strictly) go back to their source values.
/// @throws shape_error where the shapes differ.
template <parameter_range Parameters, parameter_range Source, parameter_range Gradients>
void restore_below(double threshold, Parameters&& parameters, const Source& source, const Gradients& gradients) {
  using T = detail::parameter_t<Parameters>;
  using ops = detail::parameter_memory<detail::parameter_memory_t<Parameters>>;
  detail::require_restorable(parameters, source, gradients, "as the parameters");
  const auto to = detail::views_of<T>(parameters, "parameter tensor");
  const auto from = detail::views_of<const T>(source, "source tensor");
  const auto slopes = detail::views_of<const T>(gradients, "gradient tensor");
  for (std::size_t t = 0; t < to.size(); ++t)
    ops::copy_below(from[t].data(), to[t].data(), slopes[t].data(), to[t].size(), threshold);
}

/// The parameters that the last batch says least about, those below the Fisher quantile, go back to their source
/// values. Brahma and Rai, PETAL, 2023, arXiv:2212.09713 (quantile 0.03).
///
/// PETAL's step: the student's optimiser, `teacher.update(student)`, the restore of the student with the gradients of
/// that step. Quantile 0 restores nothing. The authors' code reads past the end at 1; here all but the largest are
/// restored.
struct fisher_restore {
  double quantile = 0.03;  ///< which part is restored, in [0, 1]
  /// @throws as fisher_quantile and restore_below.
  template <parameter_range Parameters, parameter_range Source, parameter_range Gradients>
  void operator()(Parameters&& parameters, const Source& source, const Gradients& gradients, workspace& memory) const {
    (*this)(one_rank{}, parameters, source, gradients, memory);
  }
  /// Over ranks that hold parts of the parameters: the quantile is that of all of them.
  /// @throws as fisher_quantile and restore_below, on all ranks; nothing has moved then on any.
  template <communicator C, parameter_range Parameters, parameter_range Source, parameter_range Gradients>
  void operator()(const C& comm, Parameters&& parameters, const Source& source, const Gradients& gradients, workspace& memory) const {
    const double threshold = fisher_quantile(comm, gradients, quantile, memory);
    agree(comm, [&] { detail::require_restorable(parameters, source, gradients, "as the parameters"); });
    restore_below(threshold, parameters, source, gradients);
  }
};

/// The teacher's step of PSMT, after the student's optimiser: the average; the Fisher restore of the student; the
/// average once more, where the teacher takes what was restored as it is. Tian and Lyu, Parameter-Selective Continual
/// Test-Time Adaptation, 2024, arXiv:2407.02253, as in the authors' code. The paper's text was not at hand; it is
/// quoted elsewhere with one average, in which the mask keeps the teacher's old value.
///
/// With M the mask of small gradients: te <- m te + (1 - m) theta; theta <- M source + (1 - M) theta;
/// te <- M theta + (1 - M)(m te + (1 - m) theta). An `ema` counts two updates.
struct psmt {
  double quantile = 0.03;  ///< which part is restored, in [0, 1]
  /// @throws as the averager and fisher_restore; nothing has moved where a shape is wrong.
  template <class T, class Decay, class Memory, parameter_range Student, parameter_range Source,
            parameter_range Gradients>
  void operator()(averager<T, Decay, Memory>& teacher, Student&& student, const Source& source,
                  const Gradients& gradients, workspace& memory) const {
    (*this)(one_rank{}, teacher, student, source, gradients, memory);
  }
  /// Over ranks that hold parts of both: the quantile is that of all of them. @throws as above, on all ranks.
  template <communicator C, class T, class Decay, class Memory, parameter_range Student, parameter_range Source,
            parameter_range Gradients>
  void operator()(const C& comm, averager<T, Decay, Memory>& teacher, Student&& student, const Source& source,
                  const Gradients& gradients, workspace& memory) const {
    const double threshold = fisher_quantile(comm, gradients, quantile, memory);
    agree(comm, [&] { detail::require_restorable(student, source, gradients, "as the student"); });
    teacher.update(student, comm);
    restore_below(threshold, student, source, gradients);
    teacher.update(student);
    restore_below(threshold, teacher.parameters(), source, gradients);
  }
};

LIMBECK_END_NAMESPACE

#endif
