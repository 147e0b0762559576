#ifndef LIMBECK_TRAINER_VALIDATION_HPP
#define LIMBECK_TRAINER_VALIDATION_HPP

/// @file
/// How good a model is on data with labels: once, or after each epoch of a run.

#include <limbeck/trainer/concepts.hpp>
#include <limbeck/trainer/modes.hpp>

#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {
/// What stands at "logits": a tensor alone does, and of outputs the one of that name.
template <class X>
const auto& logits_in(const X& x) {
  if constexpr (is_outputs<X>) return x.template of<"logits">();
  else return x;
}
template <class X>
inline constexpr bool speaks_of_logits = true;
template <class... Output>
inline constexpr bool speaks_of_logits<outputs<Output...>> = outputs<Output...>::template has<"logits">;
/// Whether a batch says which rows of "logits" count.
template <class Batch>
inline constexpr bool masks_logits = false;
template <class Batch>
  requires requires(const Batch& b) { b.row_mask; }
inline constexpr bool masks_logits<Batch> = speaks_of_logits<std::remove_cvref_t<decltype(std::declval<const Batch&>().row_mask)>>;
}  // namespace detail
/// @endcond

/// Accuracy, nll and ece of @p model (anything with `forward(inputs)`) over all rows of @p data, @p batch rows at a
/// time; of its batches the labels, and the row_mask where they have one. Of a model with several outputs the "logits" count. A model with `eval()` and `train()` is evaluated between the
/// two, see `evaluating`. Over @p ranks each evaluates an even part of the rows, or those that the data `owns(row)`, and all get the
/// metrics of all rows.
/// @throws value_error where @p batch is 0, or where rows are owned by no rank or by several; and what `classification_metrics::add`
/// throws.
template <class Model, class Data>
classification_metrics evaluate(Model& model, Data&& data, std::size_t batch = 256, communicator_ref ranks = detail::no_other_rank) {
  detail::require_data<Data>();
  classification_metrics all;
  if constexpr (data_source<Data>) {
    static_assert(
        requires(batch_of<Data> & b) { b.labels; },
        "limbeck: an evaluation needs labels: batch(rows) of this data has no member labels");
    static_assert(detail::has_forward<Model, inputs_of<Data>>,
                  "limbeck: this model lacks forward(inputs) that takes the inputs of the data and returns logits");
    if (batch == 0) raise<value_error>("limbeck: batch is 0, expected at least 1");
    const evaluating mode(model);
    const shards even = shards::even(ranks, static_cast<std::size_t>(data.size()));
    constexpr bool owned = detail::owns_rows<Data>;
    const std::size_t begin = owned ? 0 : even.first(), end = owned ? even.total() : begin + even.count();
    std::vector<std::size_t> which;
    double seen = 0;
    const auto count = [&] {
      auto&& part = data.batch(which);
      auto&& out = model.forward(part.inputs);
      static_assert(!detail::is_head<decltype(detail::logits_in(out))>,
                    "limbeck: an evaluation reads logits, and this model gives logits_of(hidden, weights), whose logits are never "
                    "there; write them out in a forward of its own for the evaluation");
      if constexpr (detail::masks_logits<batch_of<Data>>) {
        all.add(detail::logits_in(out), detail::logits_in(part.labels), detail::logits_in(part.row_mask));
      } else {
        all.add(detail::logits_in(out), detail::logits_in(part.labels));
      }
    };
    agree_on_sum(ranks, {&seen, 1}, [&] {
      for (std::size_t row = begin; row < end; ++row) {
        if (detail::is_own(data, row, ranks)) which.push_back(row), ++seen;
        if (which.size() < batch && row + 1 < end) continue;
        if (!which.empty()) count();
        which.clear();
      }
    });
    if (seen != static_cast<double>(even.total()))
      raise<value_error>("limbeck: the data of an evaluation has " + std::to_string(even.total()) + " rows, of which the ranks own " +
                         detail::show(seen) + "; each row is owned by one rank");
    all.all_reduce(ranks);
  }
  return all;
}

/// How to evaluate.
struct validation_settings {
  std::size_t batch = 256;  ///< rows at a time, at least 1
  std::size_t every = 1;    ///< epochs between two evaluations, at least 1; the last epoch is always evaluated
  std::string prefix = "";  ///< of the metrics' names: "teacher/" gives "teacher/accuracy"
};

/// A callback that evaluates a model after each epoch and reports `accuracy`, `nll` and `ece`. It refers to @p Model
/// and to data passed as an lvalue. Give it before the callbacks that read the metrics.
template <class Model, class Data>
class validation {
 public:
  /// @throws value_error where `every` is 0.
  validation(Model& model, Data&& data, validation_settings settings = {})
      : model_(&model), data_(std::forward<Data>(data)), settings_(std::move(settings)) {
    if (settings_.every == 0) raise<value_error>("limbeck: validation every 0 epochs, expected at least 1");
  }
  void begin(training_run& run) {
    for (const char* name : {"accuracy", "nll", "ece"})
      run.metrics.set(settings_.prefix + name, std::numeric_limits<double>::quiet_NaN());
  }
  void after_epoch(training_run& run) {
    if (run.epoch % settings_.every != 0 && run.epoch != run.epochs) return;
    const classification_metrics m = evaluate(*model_, data_, settings_.batch, run.ranks);
    run.metrics.set(settings_.prefix + "accuracy", m.accuracy());
    run.metrics.set(settings_.prefix + "nll", m.nll());
    run.metrics.set(settings_.prefix + "ece", m.ece());
  }

 private:
  Model* model_;
  Data data_;
  validation_settings settings_;
};
/// @cond
template <class M, class D>
validation(M&, D&&) -> validation<M, D>;
template <class M, class D>
validation(M&, D&&, validation_settings) -> validation<M, D>;
/// @endcond

LIMBECK_END_NAMESPACE

#endif
