#ifndef LIMBECK_TRAINER_DATA_HPP
#define LIMBECK_TRAINER_DATA_HPP

/// @file
/// What the trainer asks of data and of a teacher, and the two adapters that most programs need.
///
/// A data source is a class of yours: `size()` rows, and `batch(rows)` for a `std::span<const std::size_t>` of them, an
/// object that is copied or moved into the trainer. It has a member `inputs`, of the type that your student takes, and
/// where it has them: `labels` (integers, -100 for a row without), `row_weights` (numbers), `row_mask` (numbers, 0 for a
/// row that does not count), `soft_labels` (a tensor of probabilities). They go to the objective under those names. `total` is a number
/// in the place of the sum of their weights: the losses of the rows of a whole batch are divided by the sum of its micro-batches' totals. Each
/// may be `outputs{output<"tokens">(y), ...}`: of the losses at that output of the student only.
///
/// A source in shards, over ranks, has `owns(row)`: whether a row, of all there are, is on this rank, which is then asked for such rows
/// only. Without it each rank may be asked for any.
///
/// A source that makes what it hands over, as `on_policy` does, has `prepare(rows, request)` too: called once before each step
/// with the numbers of all its rows and a `draw_request`, and followed by `batch` of them, a micro-batch each, in this order.

#include <limbeck/core/describe.hpp>
#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/engine/target.hpp>
#include <limbeck/objective/outputs.hpp>
#include <limbeck/trainer/archive.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Rows that can be drawn by number: `d.size()`, `d.batch(rows).inputs`.
template <class D>
concept data_source = requires(std::remove_cvref_t<D>& d, std::span<const std::size_t> rows) {
  { d.size() } -> std::convertible_to<std::size_t>;
  d.batch(rows).inputs;
};

/// What `batch(rows)` of a data source returns, as an object.
template <class D>
using batch_of = std::remove_cvref_t<decltype(std::declval<std::remove_cvref_t<D>&>().batch(
    std::declval<std::span<const std::size_t>>()))>;
/// What a student takes.
template <class D>
using inputs_of = std::remove_cvref_t<decltype(std::declval<batch_of<D>&>().inputs)>;

/// Some rows of a data source, as a data source: the labelled rows of a pool, the training part of a table. Refers to
/// @p Data, holds the numbers of the rows.
template <data_source Data>
class subset {
 public:
  /// @throws value_error where a row is not one of @p data.
  subset(Data& data, std::vector<std::size_t> rows) : data_(&data), rows_(std::move(rows)) {
    for (std::size_t i = 0; i < rows_.size(); ++i)
      if (rows_[i] >= static_cast<std::size_t>(data.size()))
        raise<value_error>("limbeck: subset names row " + std::to_string(rows_[i]) + " at position " +
                           std::to_string(i) + ", the data has " + std::to_string(data.size()) + " rows");
  }
  /// How many rows it has.
  std::size_t size() const { return rows_.size(); }
  /// Rows of the subset, 0 to size() - 1.
  decltype(auto) batch(std::span<const std::size_t> positions) const { return data_->batch(own_rows(positions)); }
  /// Passed on, where the data has it: whether a row is this rank's.
  bool owns(std::size_t position) const
    requires requires(const Data& d, std::size_t row) { d.owns(row); }
  {
    return data_->owns(rows_[position]);
  }
  /// Passed on, where the data has it.
  template <class Request>
    requires requires(Data& d, std::span<const std::size_t> rows, const Request& r) { d.prepare(rows, r); }
  void prepare(std::span<const std::size_t> positions, const Request& request) {
    data_->prepare(own_rows(positions), request);
  }
  /// The state of the data underneath, where it has one: a run over a part of it is resumed like one over all.
  template <class Archive>
    requires serializable<Data>
  void serialize(Archive& archive) {
    archive("data", *data_);
  }
  /// @cond
  std::string describe() const
    requires detail::self_described<Data>
  {
    return "a subset of " + data_->describe();
  }
  /// @endcond
  /// Where they stand in the data source underneath all subsets.
  std::vector<std::size_t> source_rows(std::span<const std::size_t> positions) const {
    const std::vector<std::size_t> mine = own_rows(positions);
    if constexpr (requires { data_->source_rows(mine); }) {
      return data_->source_rows(mine);
    } else {
      return mine;
    }
  }

 private:
  std::vector<std::size_t> own_rows(std::span<const std::size_t> positions) const {
    std::vector<std::size_t> mine(positions.size());
    for (std::size_t i = 0; i < mine.size(); ++i) mine[i] = rows_[positions[i]];
    return mine;
  }
  Data* data_;
  std::vector<std::size_t> rows_;
};

/// In the place of a teacher: the objective is called without one.
struct no_teacher {};

/// A teacher whose logits were computed before: one row for each row of the data source (for each row of the source
/// underneath, where the trainer draws from a subset). Views @p logits, which outlives it.
template <class T>
class cached_teacher {
 public:
  /// Any tensor on the host, rows of the data x classes.
  template <tensor Logits>
    requires std::is_same_v<typename tensor_traits<std::remove_cvref_t<Logits>>::scalar, T>
  explicit cached_teacher(Logits&& logits) : all_(tensor_traits<std::remove_cvref_t<Logits>>::view(logits)) {
    detail::require_kept<Logits>();
  }
  /// The logits of these rows, until the next call.
  /// @throws value_error where a row is not one of the tensor.
  limbeck::rows<const T> rows(std::span<const std::size_t> which) {
    memory_.resize(which.size() * all_.classes);
    T* out = memory_.data();
    for (const std::size_t r : which) {
      if (r >= all_.samples)
        raise<value_error>("limbeck: the cached teacher is asked for row " + std::to_string(r) + ", it has " +
                           std::to_string(all_.samples) + " rows");
      for (std::size_t c = 0; c < all_.classes; ++c) *out++ = all_(r, c);
    }
    return {memory_.data(), which.size(), all_.classes};
  }

 private:
  limbeck::rows<const T> all_;
  std::vector<T> memory_;
};
/// @cond
template <tensor Logits>
cached_teacher(Logits&&) -> cached_teacher<typename tensor_traits<std::remove_cvref_t<Logits>>::scalar>;
/// @endcond

namespace detail {

/// The rows of the source underneath.
template <class Data>
auto source_rows(const Data& data, std::span<const std::size_t> which) {
  if constexpr (requires { data.source_rows(which); }) {
    return data.source_rows(which);
  } else {
    return std::vector<std::size_t>(which.begin(), which.end());
  }
}

/// A teacher of what the student gave: `answer(batch, outputs)`.
template <class Teacher, class Batch, class Outputs>
concept judges = requires(Teacher& t, Batch& b, const Outputs& o) { t.answer(b, o); };
/// The same, or `outputs` of teachers one of which is such a one.
template <class Teacher, class Batch, class Outputs>
inline constexpr bool answers_student = judges<Teacher, Batch, Outputs>;
template <class... Output, class Batch, class Outputs>
inline constexpr bool answers_student<outputs<Output...>, Batch, Outputs> =
    (judges<std::remove_reference_t<typename Output::type>, Batch, Outputs> || ...);

/// Whatever a teacher has: forward(inputs), or a call with the inputs, or with the batch, or rows(numbers).
template <class Teacher, class Batch>
decltype(auto) ask_teacher(Teacher& teacher, Batch& batch, std::span<const std::size_t> source) {
  if constexpr (is_outputs<Teacher>) {
    return [&]<class... Output>(outputs<Output...>& all) {
      return outputs{output<Output::name>(ask_teacher(all.template of<Output::name>(), batch, source))...};
    }(teacher);
  } else if constexpr (requires { teacher.forward(batch.inputs); }) {
    return teacher.forward(batch.inputs);
  } else if constexpr (requires { teacher.rows(source); }) {
    return teacher.rows(source);
  } else if constexpr (std::is_invocable_v<Teacher&, decltype((batch.inputs))>) {
    return teacher(batch.inputs);
  } else if constexpr (std::is_invocable_v<Teacher&, Batch&>) {
    return teacher(batch);
  }
}

/// In the place of what a teacher says that answers.
struct not_asked_yet {};
/// One output of a teacher before the student's forward, as it may be the student itself.
template <class Given, fixed_string Name, class Teacher, class Batch>
auto ask_before_student(Teacher& teacher, Batch& batch, std::span<const std::size_t> source) {
  if constexpr (judges<Teacher, Batch, Given>) {
    return not_asked_yet{};
  } else {
    return output<Name>(ask_teacher(teacher, batch, source));
  }
}
/// The same behind it.
template <fixed_string Name, class Said, class Teacher, class Batch, class Given>
auto ask_behind_student(Said& said, Teacher& teacher, Batch& batch, const Given& given) {
  if constexpr (std::is_same_v<Said, not_asked_yet>) {
    return output<Name>(teacher.answer(batch, given));
  } else {
    return std::move(said);
  }
}
/// Asks a teacher that answers: first those of its outputs that do not, then the student, `forward()`, then those that do. Hands
/// `use(given by the student, taught)` both.
template <class Given, class Teacher, class Batch, class Forward, class Use>
void ask_around_student(Teacher& teacher, Batch& batch, [[maybe_unused]] std::span<const std::size_t> source, const Forward& forward,
                        const Use& use) {
  if constexpr (judges<Teacher, Batch, Given>) {
    auto&& given = forward();
    use(given, teacher.answer(batch, std::as_const(given)));
  } else {
    [&]<class... Output, std::size_t... Place>(outputs<Output...>& all, std::index_sequence<Place...>) {
      std::tuple before{ask_before_student<Given, Output::name>(all.template of<Output::name>(), batch, source)...};
      auto&& given = forward();
      use(given, outputs{ask_behind_student<Output::name>(std::get<Place>(before), all.template of<Output::name>(), batch,
                                                          std::as_const(given))...});
    }
    (teacher, std::make_index_sequence<Teacher::size>());
  }
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
