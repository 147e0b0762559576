#ifndef LIMBECK_EXAMPLES_LIBTORCH_TEACHER_HPP
#define LIMBECK_EXAMPLES_LIBTORCH_TEACHER_HPP

// A teacher as most people have one: a TorchScript file. Where there is none yet, one is trained and saved.

#include <torch/script.h>

#include <filesystem>

namespace distil {

/// Inputs of a network and their classes.
struct labelled {
  torch::Tensor inputs, labels;  // float [rows, features], int64 [rows]
};

/// Trains 16-256-256-26 on all labels and saves it as TorchScript, which maps inputs to logits.
void train_teacher(const labelled& data, int epochs, const std::filesystem::path& file);

}  // namespace distil

#endif
