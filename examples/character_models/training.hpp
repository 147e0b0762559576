#ifndef LIMBECK_EXAMPLES_CHARACTER_MODELS_TRAINING_HPP
#define LIMBECK_EXAMPLES_CHARACTER_MODELS_TRAINING_HPP

// One run of Limbeck's trainer. What differs between runs is behind std::function, so that the trainer is compiled once.

#include "gru.hpp"
#include "windows.hpp"

#include <limbeck/core/progress.hpp>
#include <limbeck/eigen.hpp>
#include <limbeck/objective/objective.hpp>
#include <limbeck/trainer/training_run.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <utility>

namespace character_models {

/// The logits of the rows of a batch, until the next call.
using teacher = std::function<const matrix&(windows::batch_type&)>;
/// None: for losses of labels.
teacher nobody();
/// One that has read the text.
teacher remembering(const matrix& logits, const windows& data);
/// One that reads what it is given.
teacher reading(gru& model);

/// What the trainer calls: logits, teacher's logits, labels, over how many rows the mean is, progress, gradient, memory.
using any_loss = std::function<double(const matrix&, const matrix&, const tokens&, const decltype(lk::mean_over(1.0))&, const lk::progress&,
                                      const decltype(lk::into(std::declval<lk::rows<float>&>()))&, lk::workspace&)>;
/// What writes in the place of a batch's own answers, by its prompts (and these answers) and a seed.
using writer = std::function<lk::rollouts(const lk::rollouts&, std::uint64_t)>;

/// How a model is trained: Adam, with a rate that falls by half a cosine, on windows anywhere.
struct course {
  std::size_t updates = 1'000, batch = 32;
  double rate = 0.01;
  std::uint64_t seed = 0;
  double share = 0;  // of the updates: on what `write` gives
  writer write = {};
  std::size_t every = 0;                               // updates an epoch; 0: as many as windows are in the text
  std::function<void(lk::training_run&)> look = {};    // called after each epoch
  std::filesystem::path checkpoint = {};               // where the run is kept, and goes on from
};
void fit(gru& model, teacher t, any_loss loss, const windows& data, const course& how);

}  // namespace character_models

#endif
