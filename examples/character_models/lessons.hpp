#ifndef LIMBECK_EXAMPLES_CHARACTER_MODELS_LESSONS_HPP
#define LIMBECK_EXAMPLES_CHARACTER_MODELS_LESSONS_HPP

// What the parts of the experiment share: the text, the teachers, what they say of it.

#include "gru.hpp"
#include "text.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace character_models {

struct options {
  int seeds = 3, threads = 2;
  int teacher_width = 256, teacher_updates = 1'500;
  int student_width = 24, updates = 1'500;
  int policy_updates = 200, hacking_updates = 600;
  std::size_t most = 1'000'000;  // characters of each part of the text
  std::string teachers;
  std::string out = "character_models-results", data = LIMBECK_EXAMPLE_FOLDER "/../data";
};

struct lessons {
  const options& o;
  novel text;
  gru first, second;             // teachers
  matrix of_first, of_ensemble;  // logits behind each character of the training text

  explicit lessons(const options& o);
  gru new_student(std::uint64_t seed) const {
    return {text.size(), static_cast<std::size_t>(o.student_width), 100 + seed};
  }
};

/// Throws where the backward pass is wrong.
void check_gradient();
/// Students by each loss.
void compare_losses(lessons& l);
/// Students that go on with what they write.
void compare_policies(lessons& l);
/// Proxy and golden distance, where the oracle is known.
void watch_hacking(const options& o, const novel& text);

}  // namespace character_models

#endif
