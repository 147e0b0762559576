#ifndef LIMBECK_IO_TEACHER_CACHE_METADATA_HPP
#define LIMBECK_IO_TEACHER_CACHE_METADATA_HPP

/// @file
/// What a teacher cache says of itself.

#include <limbeck/core/any_tensor.hpp>
#include <limbeck/core/errors.hpp>
#include <limbeck/core/file.hpp>
#include <limbeck/version.hpp>

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <string_view>

LIMBECK_BEGIN_NAMESPACE

/// What a row of a cache is.
enum class cache_kind {
  logits,  ///< all logits
  top_k,   ///< log-probabilities of the k most probable classes, and the log of the mass of all others
  sampled  ///< log of unbiased weights of classes that were drawn, see `draw_sparse`
};

/// What a cache says of itself. Two caches with the same metadata can be one.
struct cache_metadata {
  std::size_t classes = 0;                      ///< of the whole row, at least 1
  cache_kind kind = cache_kind::logits;         ///< what a row is
  element_type values = element_type::float32;  ///< how a value is stored: float32, float16, bfloat16 or uint8
  double temperature = 1;                       ///< of the softmax whose logarithms are stored; 1 for logits
  std::size_t k = 0;                            ///< top_k: classes kept a row at most
  std::size_t draws = 0;                        ///< sampled: draws a row
  double power = 1;                             ///< sampled: drawn from q proportional to p^power
  std::string teacher = {};                     ///< a fingerprint of the teacher, compared as it is
  std::string augmentation = {};                ///< what was done to the inputs, compared as it is
  std::string user = "{}";                      ///< a JSON object of yours, of at most 63 levels; not compared

  /// @throws value_error where a setting is out of range or does not go with another.
  void check() const {
    const auto refuse = [](const std::string& what) { raise<value_error>("limbeck: a teacher cache " + what); };
    if (classes == 0 || classes > 0x7fffffff)
      refuse("of " + std::to_string(classes) + " classes, expected 1 to 2^31 - 1");
    if (values != element_type::float32 && values != element_type::float16 && values != element_type::bfloat16 &&
        values != element_type::uint8)
      refuse(std::string("of values ") + name_of(values) + ", expected float32, float16, bfloat16 or uint8");
    if (!(temperature > 0 && temperature < 1e300)) refuse("of temperature " + detail::show(temperature));
    if (kind == cache_kind::logits && temperature != 1)
      refuse("of logits has temperature 1, not " + detail::show(temperature) + ": a loss divides them by its own");
    if (kind == cache_kind::top_k && k == 0) refuse("of the top k with k 0, expected at least 1");
    if (kind == cache_kind::sampled && draws == 0) refuse("of samples with 0 draws, expected at least 1");
    if (kind == cache_kind::sampled && !(power > 0 && power < 1e300))
      refuse("of samples with power " + detail::show(power));
    if (kind == cache_kind::sampled && values == element_type::uint8 && (draws > 255 || power != 1))
      refuse("of counts in uint8 with " + std::to_string(draws) + " draws and power " + detail::show(power) +
             ", expected at most 255 draws and power 1");
  }
};

/// What a run takes for granted of a cache; what is not stated is not compared.
struct cache_expectation {
  std::optional<std::size_t> classes = {};       ///< of the whole row
  std::optional<double> temperature = {};        ///< of the stored log-probabilities
  std::optional<std::string> teacher = {};       ///< its fingerprint
  std::optional<std::string> augmentation = {};  ///< what was done to the inputs
  std::optional<std::size_t> samples = {};       ///< that it has a row of, in all its shards
};

/// @cond
namespace detail {

inline constexpr const char* cache_kind_name[] = {"logits", "top_k", "sampled"};

inline constexpr std::size_t cache_metadata_limit = 1U << 20U;  // bytes
inline constexpr int cache_metadata_depth = 64;

/// JSON, "discarded" where it is none or nested deeper than @p levels. That is looked at first: whoever walks over the
/// levels of JSON calls himself.
inline nlohmann::json parse_metadata(std::string_view text, int levels) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted) {
      depth += text[i] == '[' || text[i] == '{' ? 1 : text[i] == ']' || text[i] == '}' ? -1 : 0;
      if (depth > levels) return nlohmann::json::value_t::discarded;
    }
  }
  return nlohmann::json::parse(text, nullptr, false);
}

inline nlohmann::json json_of(const cache_metadata& m) {
  nlohmann::json j{{"classes", m.classes},
                   {"kind", cache_kind_name[static_cast<int>(m.kind)]},
                   {"values", name_of(m.values)},
                   {"temperature", m.temperature},
                   {"teacher", m.teacher},
                   {"augmentation", m.augmentation},
                   {"created_by", "limbeck " LIMBECK_VERSION_STRING}};
  if (m.kind == cache_kind::top_k) j["k"] = m.k;
  if (m.kind == cache_kind::sampled) j["draws"] = m.draws, j["power"] = m.power;
  j["user"] = parse_metadata(m.user, cache_metadata_depth - 1);
  if (!j["user"].is_object())
    raise<value_error>("limbeck: the user's metadata of a teacher cache is no JSON object of at most 63 levels");
  return j;
}

/// In what two caches differ that cannot be one, "whose k is 4, not 8", or nothing.
inline std::string difference(const cache_metadata& there, const cache_metadata& expected) {
  const auto was = json_of(there), wanted = json_of(expected);
  for (const char* key :
       {"classes", "kind", "values", "temperature", "k", "draws", "power", "teacher", "augmentation"}) {
    const auto one = was.contains(key) ? was[key].dump() : "none",
               other = wanted.contains(key) ? wanted[key].dump() : "none";
    if (one != other) return std::string("whose ") + key + " is " + one + ", not " + other;
  }
  return {};
}

/// What the parsed metadata say. @throws nlohmann::json::exception, value_error
inline cache_metadata metadata_of(const nlohmann::json& j, const std::filesystem::path& path) {
  cache_metadata m;
  const auto whole = [&](const char* key) {
    const auto& x = j.at(key);
    if (!x.is_number_unsigned())
      throw_file_error(path, std::string("has metadata whose ") + key + " is no whole number");
    return x.get<std::size_t>();
  };
  const auto one_of = [&](const char* key, auto& to, auto name, int count) {
    const auto& found = j.at(key).get_ref<const std::string&>();
    for (int i = 0; i < count; ++i) {
      to = static_cast<std::remove_reference_t<decltype(to)>>(i);
      if (found == name(to)) return;
    }
    throw_file_error(path,
                     std::string("has metadata with ") + key + " '" + found + "', which this version does not know");
  };
  m.classes = whole("classes");
  one_of(
      "kind", m.kind, [](cache_kind k) { return cache_kind_name[static_cast<int>(k)]; }, 3);
  one_of(
      "values", m.values, [](element_type e) { return name_of(e); }, static_cast<int>(element_type::float64) + 1);
  m.temperature = j.at("temperature").get<double>();
  if (m.kind == cache_kind::top_k) m.k = whole("k");
  if (m.kind == cache_kind::sampled) m.draws = whole("draws"), m.power = j.at("power").get<double>();
  m.teacher = j.value("teacher", "");
  m.augmentation = j.value("augmentation", "");
  if (j.contains("user")) m.user = j["user"].dump();
  m.check();
  return m;
}

inline cache_metadata metadata_of(std::string_view text, const std::filesystem::path& path) {
  const auto j = parse_metadata(text, cache_metadata_depth);
  if (!j.is_object()) throw_file_error(path, "has metadata that are no JSON object of at most 64 levels");
  const auto with = [&](const char* what) {
    return [&path, what](const auto& e) -> cache_metadata {
      throw_file_error(path, std::string("has metadata that ") + what + ": " + e.what());
    };
  };
  return attempt<nlohmann::json::exception>(
      [&] {
        return attempt<value_error>([&] { return metadata_of(j, path); }, with("do not go together"));
      },
      with("are no teacher cache's"));
}

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
