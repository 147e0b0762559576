#ifndef LIMBECK_EXAMPLES_RANKS_SHARD_HPP
#define LIMBECK_EXAMPLES_RANKS_SHARD_HPP

// A rank's part of a pool, as the trainer reads it, and the teacher's logits beside it.

#include "../common/data.hpp"
#include "../common/draw.hpp"

#include <limbeck/eigen.hpp>
#include <limbeck/ranks.hpp>

#include <algorithm>
#include <span>
#include <vector>

namespace ranks {

using namespace examples;

/// Rows are numbered over all ranks; this rank is asked for those that it owns.
struct pool_shard {
  limbeck::shards of;
  matrix own;               // this rank's rows
  std::vector<int> hidden;  // their labels, until somebody buys them

  struct inputs_only {
    matrix inputs;
  };
  std::size_t size() const { return of.total(); }
  bool owns(std::size_t row) const { return of.owns(row); }
  inputs_only batch(std::span<const std::size_t> rows) const {
    matrix x(std::ssize(rows), own.cols());
    for (Eigen::Index i = 0; i < x.rows(); ++i) x.row(i) = own.row(static_cast<Eigen::Index>(of.local(rows[static_cast<std::size_t>(i)])));
    return {std::move(x)};
  }
  /// What was bought, on every rank: rows in the order of their numbers.
  template <class World>
  dataset gather(const World& world, row_numbers rows) const {
    std::ranges::sort(rows);
    std::erase_if(rows, [&](std::size_t r) { return !owns(r); });
    const matrix mine = batch(rows).inputs;
    std::vector<int> labels;
    for (const std::size_t r : rows) labels.push_back(hidden[of.local(r)]);
    const auto pixels = limbeck::all_gather_ragged(world, std::span(mine.data(), static_cast<std::size_t>(mine.size()))).values;
    labels = limbeck::all_gather_ragged(world, std::span<const int>(labels)).values;
    return {Eigen::Map<const matrix>(pixels.data(), std::ssize(labels), own.cols()), labels, {}};
  }
};

/// Logits of this rank's rows: a teacher that is asked by the rows' numbers.
struct own_logits {
  const pool_shard& of;
  limbeck::rows<const float> logits;
  matrix asked{};
  const matrix& rows(std::span<const std::size_t> numbers) {
    asked.resize(std::ssize(numbers), static_cast<Eigen::Index>(logits.classes));
    for (std::size_t i = 0; i < numbers.size(); ++i)
      std::copy_n(logits.data + of.of.local(numbers[i]) * logits.classes, logits.classes, asked.row(static_cast<Eigen::Index>(i)).data());
    return asked;
  }
};

}  // namespace ranks

#endif
