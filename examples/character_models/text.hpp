#ifndef LIMBECK_EXAMPLES_CHARACTER_MODELS_TEXT_HPP
#define LIMBECK_EXAMPLES_CHARACTER_MODELS_TEXT_HPP

// Persuasion as tokens: a character is its place in the alphabet.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace character_models {

using token = std::int32_t;
using tokens = std::vector<token>;

struct novel {
  std::string alphabet;  // sorted
  tokens train, test;    // chapters 1 to 20, chapters 21 to 24

  std::size_t size() const { return alphabet.size(); }
  std::string spell(std::span<const token> written) const;
  tokens read(std::string_view text) const;  // of characters of the alphabet
};

novel read_persuasion(const std::filesystem::path& folder);

}  // namespace character_models

#endif
