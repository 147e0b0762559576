// Writes teacher caches that read_caches.py reads: write_caches FOLDER. Logit (r, c) is a fraction that both compute
// exactly.

#include <limbeck/io.hpp>
#include <limbeck/limbeck.hpp>

#include <cstdio>
#include <filesystem>
#include <vector>

namespace lk = limbeck;

int main(int, char** argv) {
  constexpr std::size_t samples = 9, classes = 13;
  std::vector<float> z(samples * classes);
  std::vector<std::uint64_t> ids(samples);
  for (std::size_t r = 0; r < samples; ++r) {
    ids[r] = (r * 5 + 3) % samples + (std::uint64_t{1} << 33U);
    for (std::size_t c = 0; c < classes; ++c) z[r * classes + c] = static_cast<float>((r * 31 + c * 17) % 64) / 8 - 4;
    z[r * classes + 6] = -std::numeric_limits<float>::infinity();
  }
  using enum lk::element_type;
  for (const auto kind : {lk::cache_kind::logits, lk::cache_kind::top_k, lk::cache_kind::sampled})
    for (const auto values : {float32, float16, bfloat16, uint8}) {
      const bool dense = kind == lk::cache_kind::logits;
      const auto path =
          std::filesystem::path(argv[1]) /
          (std::string(lk::detail::cache_kind_name[static_cast<int>(kind)]) + "_" + lk::name_of(values) + ".cache");
      std::filesystem::remove(path);
      lk::teacher_cache_writer writer(path,
                                      {.classes = classes,
                                       .kind = kind,
                                       .values = values,
                                       .temperature = dense ? 1.0 : 2.0,
                                       .k = 4,
                                       .draws = 40,
                                       .teacher = "C++"},
                                      {.block_bytes = 300, .seed = 3});
      for (std::size_t r = 0; r < samples; r += 3)
        writer.append(std::vector<std::uint64_t>(ids.begin() + static_cast<std::ptrdiff_t>(r),
                                                 ids.begin() + static_cast<std::ptrdiff_t>(r) + 3),
                      lk::rows<const float>(&z[r * classes], 3, classes));
      writer.close();
    }

  const auto folder = std::filesystem::path(argv[1]) / "shards";  // two, and their manifest
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  for (const std::size_t first : {std::size_t{0}, std::size_t{4}}) {
    lk::teacher_cache_writer writer(folder / (first == 0 ? "a.cache" : "b.cache"), {.classes = classes});
    writer.append(std::vector<std::uint64_t>(ids.begin() + static_cast<std::ptrdiff_t>(first),
                                             ids.begin() + static_cast<std::ptrdiff_t>(first == 0 ? 4 : samples)),
                  lk::rows<const float>(&z[first * classes], first == 0 ? 4 : samples - 4, classes));
    writer.close();
  }
  lk::write_cache_manifest(lk::one_rank{}, folder, {.samples = samples});
  return 0;
}
