#include "text.hpp"

#include <zlib.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

namespace character_models {

std::string novel::spell(std::span<const token> written) const {
  std::string text;
  for (const token t : written) text += alphabet[static_cast<std::size_t>(t)];
  return text;
}

tokens novel::read(std::string_view text) const {
  tokens all;
  for (const char c : text) {
    const auto at = std::lower_bound(alphabet.begin(), alphabet.end(), c);
    if (at == alphabet.end() || *at != c) throw std::runtime_error(std::string("the alphabet has no '") + c + "'");
    all.push_back(static_cast<token>(at - alphabet.begin()));
  }
  return all;
}

novel read_persuasion(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "persuasion.txt.gz";
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (!file) throw std::runtime_error("cannot open " + path.string());
  std::string text;
  char piece[1 << 16];
  int count = 0;
  while ((count = gzread(file.get(), piece, sizeof piece)) > 0) text.append(piece, static_cast<std::size_t>(count));
  const std::size_t cut = text.find("Chapter 21\n");
  if (count < 0 || cut == std::string::npos) throw std::runtime_error(path.string() + " is damaged");

  novel n;
  n.alphabet = text;
  std::sort(n.alphabet.begin(), n.alphabet.end());
  n.alphabet.erase(std::unique(n.alphabet.begin(), n.alphabet.end()), n.alphabet.end());
  n.train = n.read(std::string_view(text).substr(0, cut));
  n.test = n.read(std::string_view(text).substr(cut));
  return n;
}

}  // namespace character_models
