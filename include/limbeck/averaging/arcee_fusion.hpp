#ifndef LIMBECK_AVERAGING_ARCEE_FUSION_HPP
#define LIMBECK_AVERAGING_ARCEE_FUSION_HPP

/// @file
/// Merging students: the weights of one that matter most, in the other.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/core/scratch.hpp>
#include <limbeck/ranks/order_statistics.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// The merge of TinyR1 (Branch-Merge): each element of a tensor is @p other's where it is important, else @p base's.
///
/// Importance of element (r, c) is |other - base| times KL(p || q) of row r, p = softmax(other row) + 1e-8 and q =
/// softmax(base row) + 1e-8; important is at least Q50 + whiskers (Q75 - Q25), order statistics at floor(fraction (n -
/// 1)) over the tensor. A vector is one row. Several students are merged one after the other.
///
/// Sun et al., TinyR1-32B-Preview, 2025, arXiv:2503.04872, section 2.2; the formula is that of mergekit's
/// `arcee_fusion`, which takes the quantiles of a random million where there are more: here they are exact. The paper
/// instead flattens each tensor (pass it as one row), signs the score and asks for more than the threshold.
struct arcee_fusion {
  double whiskers = 1.5;  ///< interquartile ranges above the median
  /// @p base, @p other and @p out are tensors of one shape on the host; @p out may be @p base. O(n) and n numbers.
  /// @throws shape_error where the shapes differ; value_error where a weight is not finite.
  template <tensor Base, tensor Other, tensor Out>
  void operator()(const Base& base, const Other& other, Out&& out, workspace& memory) const {
    (*this)(one_rank{}, base, other, out, memory);
  }
  /// Over ranks that have rows of the tensor each, whole ones, or none: the thresholds are those of the whole tensor, exactly, and so
  /// is what each rank gets. Sends 30 messages of at most 2 KiB to each rank, however long the tensor is.
  /// @throws as above, shape_error where ranks have rows of other lengths, value_error where they have other whiskers; on all ranks.
  template <communicator C, tensor Base, tensor Other, tensor Out>
  void operator()(const C& comm, const Base& base, const Other& other, Out&& out, workspace& memory) const {
    const auto l = tensor_traits<Base>::view(base);
    const auto r = tensor_traits<Other>::view(other);
    const auto m = tensor_traits<std::remove_cvref_t<Out>>::view(out);
    constexpr bool alone = std::is_same_v<C, one_rank>;
    using number = std::conditional_t<alone, double, std::uint64_t>;  // ranks look for a place in whole numbers of the same order
    const std::size_t own = l.samples * l.classes;
    scratch room(memory);
    std::span<double> divergence;
    std::span<number> importance;
    const std::vector<std::uint64_t> widths = all_gather(comm, std::uint64_t{own > 0 ? l.classes : 0});
    agree(comm, [&] {
      for (const std::uint64_t width : widths)
        if (own > 0 && width > 0 && width != l.classes)
          raise<shape_error>("limbeck: base has " + std::to_string(l.classes) + " columns, and " + std::to_string(width) +
                             " on another rank; ranks have whole rows of one tensor");
      if (r.samples != l.samples || r.classes != l.classes)
        detail::throw_shape("other", r.samples, r.classes, l.samples, l.classes);
      if (m.samples != l.samples || m.classes != l.classes)
        detail::throw_shape("out", m.samples, m.classes, l.samples, l.classes);
      divergence = room.take<double>(l.samples);
      importance = room.take<number>(own);
      for (std::size_t i = 0; i < l.samples && own > 0; ++i) {
        divergence[i] = row_divergence(l, r, i);
        for (std::size_t c = 0; c < l.classes; ++c) {
          const double x = score(l, r, i, c, divergence[i]);
          if constexpr (alone) importance[i * l.classes + c] = x;
          else importance[i * l.classes + c] = detail::ordered_bits(x);
        }
      }
    });
    detail::require_alike(comm, whiskers, "arcee_fusion::whiskers");
    const std::uint64_t n = all_reduce_sum(comm, std::uint64_t{own});
    const std::span<number> copy = room.take<number>(alone ? 0 : own);
    if (n == 0) return;
    const auto quantile = [&](double fraction) {
      const auto place = static_cast<std::size_t>(fraction * static_cast<double>(n - 1));
      if constexpr (alone) {
        std::nth_element(importance.data(), importance.data() + place, importance.data() + n);
        return importance[place];
      } else {
        std::copy(importance.begin(), importance.end(), copy.begin());  // of which only the number is left
        return detail::number_at(comm, copy, place).number;
      }
    };
    const double threshold = quantile(0.5) + whiskers * (quantile(0.75) - quantile(0.25));
    for (std::size_t i = 0; i < l.samples; ++i)
      for (std::size_t c = 0; c < l.classes; ++c)
        m(i, c) = score(l, r, i, c, divergence[i]) >= threshold ? r(i, c) : l(i, c);
  }

 private:
  template <class View>
  static double score(const View& l, const View& r, std::size_t i, std::size_t c, double divergence) {
    return std::fabs(static_cast<double>(r(i, c)) - static_cast<double>(l(i, c))) * divergence;
  }
  template <class View>
  static double log_normalizer(const View& x, std::size_t i, const char* what) {
    double top = static_cast<double>(x(i, 0)), total = 0;
    for (std::size_t c = 0; c < x.classes; ++c) {
      const double v = static_cast<double>(x(i, c));
      if (v - v != 0)
        raise<value_error>(std::string("limbeck: ") + what + " is " + detail::show(v) + " at row " + std::to_string(i) +
                           ", column " + std::to_string(c));
      top = (std::max)(top, v);
    }
    for (std::size_t c = 0; c < x.classes; ++c) total += std::exp(static_cast<double>(x(i, c)) - top);
    return top + std::log(total);
  }
  template <class View>
  static double row_divergence(const View& l, const View& r, std::size_t i) {
    const double of_l = log_normalizer(l, i, "base"), of_r = log_normalizer(r, i, "other");
    double total = 0;
    for (std::size_t c = 0; c < l.classes; ++c) {
      const double p = std::exp(static_cast<double>(r(i, c)) - of_r) + 1e-8;
      const double q = std::exp(static_cast<double>(l(i, c)) - of_l) + 1e-8;
      total += p * std::log(p / q);
    }
    return total;
  }
};

LIMBECK_END_NAMESPACE

#endif
