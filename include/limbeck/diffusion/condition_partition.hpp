#ifndef LIMBECK_DIFFUSION_CONDITION_PARTITION_HPP
#define LIMBECK_DIFFUSION_CONDITION_PARTITION_HPP

/// @file
/// Conditions in parts, each with a student of its own, and the router between them.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// A partition of conditions 0 to n - 1 into K parts: F(condition) is its part. `conditions(k)` are those that the student of part k is
/// trained on, as `noise_settings::conditions`; `sample_by_part` asks the student of each condition. With one part nothing is divided.
///
/// Song et al., Multi-student Diffusion Distillation for Better One-step Generators (MSD), whose text was not read: that parts are disjoint
/// classes one after the other, or clusters, is from its reviews.
class condition_partition {
 public:
  /// The part of each condition: `condition_partition(k_means{.clusters = 4}(embeddings).of)`, a partition by clusters of embeddings.
  /// @throws value_error where there is no condition, or a part below the highest has none.
  explicit condition_partition(std::vector<std::size_t> part_of) : of_(std::move(part_of)) {
    if (of_.empty()) raise<value_error>("limbeck: part_of of condition_partition is empty, expected a part of each condition");
    parts_.resize((std::min)(*std::max_element(of_.begin(), of_.end()), of_.size()) + 1);
    for (std::size_t c = 0; c < of_.size(); ++c)
      if (of_[c] < parts_.size()) parts_[of_[c]].push_back(static_cast<int>(c));
    for (std::size_t k = 0; k < parts_.size(); ++k)
      if (parts_[k].empty())
        raise<value_error>("limbeck: part " + std::to_string(k) + " of condition_partition has no condition, expected at least 1");
  }
  /// @p conditions in @p parts of neighbours, whose sizes differ by 1 at most: condition c is in part floor(c parts/conditions).
  /// @throws value_error where parts is 0 or more than conditions.
  static condition_partition consecutive(std::size_t conditions, std::size_t parts) {
    if (parts == 0 || parts > conditions)
      raise<value_error>("limbeck: parts of condition_partition is " + std::to_string(parts) + ", expected 1 to " +
                         std::to_string(conditions) + ", the conditions");
    std::vector<std::size_t> of(conditions);
    for (std::size_t c = 0; c < conditions; ++c) of[c] = c * parts / conditions;
    return condition_partition(std::move(of));
  }
  /// K.
  std::size_t size() const { return parts_.size(); }
  /// F(c). @throws value_error where there is no such condition.
  std::size_t operator()(int c) const {
    if (c < 0 || static_cast<std::size_t>(c) >= of_.size())
      raise<value_error>("limbeck: condition is " + std::to_string(c) + ", expected 0 to " + std::to_string(of_.size() - 1));
    return of_[static_cast<std::size_t>(c)];
  }
  /// Those of a part, increasing. @throws value_error where there is no such part.
  const std::vector<int>& conditions(std::size_t part) const {
    if (part >= parts_.size())
      raise<value_error>("limbeck: part is " + std::to_string(part) + ", expected 0 to " + std::to_string(parts_.size() - 1));
    return parts_[part];
  }

 private:
  std::vector<std::size_t> of_;
  std::vector<std::vector<int>> parts_;
};

/// @cond
namespace detail {
/// out[which[i]] = x[i] of a tensor on the host.
template <class X, class T>
void put_rows(const X& x, std::span<const std::size_t> which, const rows<T>& out, const char* who) {
  const auto from = tensor_traits<X>::view(x);
  if (from.samples != which.size() || from.classes != out.classes) throw_shape(who, from.samples, from.classes, which.size(), out.classes);
  for (std::size_t i = 0; i < which.size(); ++i)
    for (std::size_t j = 0; j < out.classes; ++j) out(which[i], j) = static_cast<T>(from(i, j));
}
}  // namespace detail
/// @endcond

/// Samples by the student of each condition: row r of @p out is what `generate(F(c_r), rows of noise, their conditions)` gives for it.
/// Each part is asked once, for all its rows in their order; one without rows is not asked.
/// @param out where it is written
/// @param partition F
/// @param noise samples x dimensions
/// @param conditions one a row
/// @param generate a callable of a part, `rows<const T>` of noise and a `std::span<const int>`, that gives a tensor on the host of as many
///   rows, with the columns of @p out
/// @throws shape_error where sizes differ, value_error where a condition is not one of the partition's; @p out is then unchanged where the
///   conditions are at fault.
template <class T, class Generate>
void sample_by_part(const condition_partition& partition, const rows<const T>& noise, std::span<const int> conditions, Generate&& generate,
            const std::type_identity_t<rows<T>>& out) {
  if (conditions.size() != noise.samples) detail::throw_length("conditions", conditions.size(), noise.samples);
  if (out.samples != noise.samples) detail::throw_length("out", out.samples, noise.samples);
  std::vector<std::vector<std::size_t>> which(partition.size());
  for (std::size_t r = 0; r < conditions.size(); ++r) which[partition(conditions[r])].push_back(r);
  std::vector<T> z;
  std::vector<int> c;
  for (std::size_t k = 0; k < which.size(); ++k) {
    if (which[k].empty()) continue;
    z.clear(), c.clear();
    for (const std::size_t r : which[k]) {
      for (std::size_t j = 0; j < noise.classes; ++j) z.push_back(noise(r, j));
      c.push_back(conditions[r]);
    }
    auto&& given = generate(k, rows<const T>(z.data(), c.size(), noise.classes), std::span<const int>(c));
    detail::put_rows(given, which[k], out, "what generate gave to sample_by_part");
  }
}

LIMBECK_END_NAMESPACE

#endif
