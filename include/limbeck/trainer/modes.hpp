#ifndef LIMBECK_TRAINER_MODES_HPP
#define LIMBECK_TRAINER_MODES_HPP

/// @file
/// Models that behave otherwise in training than in use: dropout, batch normalisation.

#include <limbeck/core/config.hpp>

#include <concepts>

LIMBECK_BEGIN_NAMESPACE

/// A model with both: `m.train()` before a step, `m.eval()` before an evaluation. LibTorch's modules are such models.
template <class M>
concept has_modes = requires(M& m) {
  m.train();
  m.eval();
};

/// A model in evaluation while this object lives: `eval()` now, `train()` at the end, also where an exception ends it. A model
/// whose `is_training()` says false stays as it is, and of a model without modes nothing is asked. Refers to @p Model.
template <class Model>
class evaluating {
 public:
  /// @p model goes into evaluation.
  explicit evaluating(Model& model) : model_(&model) {
    if constexpr (has_modes<Model>) {
      if constexpr (requires { { model.is_training() } -> std::convertible_to<bool>; })
        if (!model.is_training()) model_ = nullptr;
      if (model_) model.eval();
    }
  }
  ~evaluating() {
    if constexpr (has_modes<Model>)
      if (model_) model_->train();
  }
  evaluating(const evaluating&) = delete;
  evaluating& operator=(const evaluating&) = delete;

 private:
  Model* model_;
};

/// @cond
namespace detail {
/// Before a step.
template <class Model>
void set_training(Model& model) {
  if constexpr (has_modes<Model>) {
    if constexpr (requires { { model.is_training() } -> std::convertible_to<bool>; }) {
      if (!model.is_training()) model.train();
    } else {
      model.train();
    }
  }
}
}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
