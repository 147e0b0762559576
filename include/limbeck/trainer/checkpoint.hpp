#ifndef LIMBECK_TRAINER_CHECKPOINT_HPP
#define LIMBECK_TRAINER_CHECKPOINT_HPP

/// @file
/// Checkpoints: `save_checkpoint("run.ckpt", state, composition)`, `load_checkpoint("run.ckpt", state, composition)`.
///
/// The file is a safetensors file (8 bytes little-endian length, a JSON header, the numbers little-endian), so that any
/// reader of that format opens it. Its metadata say `format`, `version`, `byte_order`, `composition` (what the state
/// belongs to, in the writer's words) and `checksum` (FNV-1a, 64 bits, over the file with the checksum itself as
/// zeros).

#include <limbeck/trainer/checkpoint_format.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

LIMBECK_BEGIN_NAMESPACE

namespace detail {
class checkpoint_reader;
}

/// A checkpoint in memory: read and found whole.
class checkpoint_file {
 public:
  /// @throws file_error where @p path cannot be read, checkpoint_error where it is truncated, corrupted, of another
  /// version, or no checkpoint.
  explicit checkpoint_file(const std::filesystem::path& path) : name_(path.string()), bytes_(detail::read_file(path)) {
    parse();
  }
  /// What the state belongs to, as its writer said.
  const std::string& composition() const { return composition_; }
  /// @throws checkpoint_error where the state belongs to something else than @p composition; the lines that differ.
  void require(const std::string& composition) const;
  /// What it holds: names, types and lengths.
  const std::map<std::string, detail::safetensors_entry, std::less<>>& entries() const { return entries_; }
  /// Writes every number of @p state, all or none.
  /// @throws checkpoint_error where names, types or lengths differ; and what a `serialize` throws.
  template <serializable State>
  void load(State& state) const {
    load_state([&](detail::any_archive& archive) { state.serialize(archive); });
  }

 private:
  checkpoint_file(std::string name, std::string bytes) : name_(std::move(name)), bytes_(std::move(bytes)) { parse(); }
  void load_state(const std::function<void(detail::any_archive&)>& serialize) const;
  friend class detail::checkpoint_reader;
  [[noreturn]] void fail(const std::string& what) const {
    raise<checkpoint_error>("limbeck: checkpoint '" + name_ + "' " + what);
  }
  void parse();

  std::string name_, bytes_, composition_;
  std::size_t payload_ = 0;
  std::map<std::string, detail::safetensors_entry, std::less<>> entries_;
};

namespace detail {
/// `Json::sax_parse` without the binary formats that it compiles along: two thirds of its code, in each program. Where the
/// library's parser is not what it was, the function itself.
template <class Json, class Reader>
bool read_json(std::string_view text, Reader& reader) {
  const auto direct = [&]<class Text>(const Text& t) {
    if constexpr (requires {
                    nlohmann::detail::parser<Json, decltype(nlohmann::detail::input_adapter(t.begin(), t.end()))>(
                        nlohmann::detail::input_adapter(t.begin(), t.end()))
                        .sax_parse(&reader, true);
                  }) {
      auto adapter = nlohmann::detail::input_adapter(t.begin(), t.end());
      return nlohmann::detail::parser<Json, decltype(adapter)>(std::move(adapter)).sax_parse(&reader, true);
    } else {
      return Json::sax_parse(t.begin(), t.end(), &reader);
    }
  };
  return direct(text);
}
}  // namespace detail

inline void checkpoint_file::parse() {
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < 8 && i < bytes_.size(); ++i)
    length |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes_[i])) << (8 * i);
  if (bytes_.size() < 9 || length > bytes_.size() - 8)
    fail("is truncated, or no checkpoint: it has " + std::to_string(bytes_.size()) + " bytes, less than its header");
  const std::string_view text = std::string_view(bytes_).substr(8, static_cast<std::size_t>(length));
  payload_ = 8 + text.size();
  detail::safetensors_header_reader reader;
  if (text.size() > detail::safetensors_header_limit || !detail::read_json<nlohmann::json>(text, reader))
    fail("is corrupted, or no checkpoint: it " +
         (reader.fault().empty() ? "has a header beyond 100 MB" : reader.fault()));
  entries_ = std::move(reader.header.tensors);
  const auto& about = reader.header.metadata;
  const auto noted = [&](const char* key) {
    const auto found = about.find(key);
    return found == about.end() ? std::string() : found->second;
  };
  if (noted("format") != detail::checkpoint_format) fail("is no checkpoint of limbeck");
  if (noted("version") != detail::checkpoint_version)
    fail("has version " + noted("version") + ", this library reads version " + detail::checkpoint_version);
  if (noted("byte_order") != "little") fail("is not little-endian");
  composition_ = noted("composition");
  const std::string stored = noted("checksum");
  std::uint64_t end = 0;
  for (const auto& [name, entry] : entries_) end = (std::max)(end, entry.end);
  if (bytes_.size() - payload_ < end)
    fail("is truncated: it has " + std::to_string(bytes_.size()) + " bytes of " + std::to_string(payload_ + end));
  std::string zeroed = bytes_.substr(0, payload_);
  const std::size_t where = stored.size() == 16 ? zeroed.rfind("\"checksum\":\"" + stored) : std::string::npos;
  if (where == std::string::npos) fail("is corrupted: it has no checksum");
  zeroed.replace(where + 12, 16, detail::no_checksum);
  const std::string found =
      detail::hexadecimal(detail::fnv1a(std::string_view(bytes_).substr(payload_), detail::fnv1a(zeroed)));
  if (found != stored) fail("is corrupted: its checksum is " + stored + ", its content gives " + found);
}

namespace detail {

/// Compares a state with a file (all names, types and lengths), or copies the file into it.
class checkpoint_reader final : public any_archive {
 public:
  checkpoint_reader(const checkpoint_file& file, bool copy) : file_(file), copy_(copy) {}
  /// Names in the file that the state has not asked for.
  void require_all() const {
    for (const auto& [name, entry] : file_.entries_)
      if (!seen_.contains(name)) file_.fail("has '" + name + "', which this state does not have");
  }

 private:
  void item(const std::string& name, const archived_item& x) override {
    const auto& entry = find(name, x.dtype, x.kind != archived_item::number);
    if (x.kind == archived_item::fixed && entry.shape[0] != x.count)
      file_.fail("has " + std::to_string(entry.shape[0]) + " numbers in '" + name + "', expected " + std::to_string(x.count));
    if (!copy_) return;
    void* const to = x.kind == archived_item::list ? x.resize(x.object, static_cast<std::size_t>(entry.shape[0])) : x.data;
    if (entry.begin < entry.end)
      std::memcpy(to, file_.bytes_.data() + file_.payload_ + entry.begin, static_cast<std::size_t>(entry.end - entry.begin));
  }
  /// The entry of that name, which has so many bytes as its type and shape say: its header was read so.
  const safetensors_entry& find(const std::string& name, std::string_view dtype, bool list) {
    const auto found = file_.entries_.find(name);
    if (found == file_.entries_.end()) file_.fail("has no '" + name + "'");
    const auto& entry = found->second;
    if (entry.type != dtype || entry.shape.size() != (list ? 1U : 0U))
      file_.fail("has " + kind(entry.type, entry.shape.size()) + " in '" + name + "', expected " + kind(dtype, list));
    if (!seen_.insert(name).second)
      raise<checkpoint_error>("limbeck: two members of this state are named '" + name + "'");
    return entry;
  }
  static std::string kind(std::string_view dtype, std::size_t rank) {
    const std::string type(dtype);
    return rank == 0   ? "one " + type
           : rank == 1 ? "a list of " + type
                       : "a tensor of " + std::to_string(rank) + " dimensions of " + type;
  }
  const checkpoint_file& file_;
  bool copy_;
  std::set<std::string> seen_;
};

}  // namespace detail

inline void checkpoint_file::load_state(const std::function<void(detail::any_archive&)>& serialize) const {
  detail::checkpoint_reader compare(*this, false);
  serialize(compare);
  compare.require_all();
  detail::checkpoint_writer writer;
  serialize(writer);
  const checkpoint_file before("of the state as it was", writer.header("") + writer.payload());
  const auto load_from = [&](const checkpoint_file& file) {
    detail::checkpoint_reader copy(file, true);
    serialize(copy);
  };
  // A serialize may look at what it has been given.
  detail::or_undo([&] { load_from(*this); }, [&] { load_from(before); });
}

namespace detail {
/// The lines of @p a that @p b has not, each after a line break.
inline std::string lines_without(const std::string& a, const std::string& b) {
  std::string differing;
  for (std::size_t at = 0, end; at <= a.size(); at = end + 1) {
    end = (std::min)(a.find('\n', at), a.size());
    const std::string line = '\n' + a.substr(at, end - at);
    if (('\n' + b + '\n').find(line + '\n') == std::string::npos) differing += line;
  }
  return differing.empty() ? "\n(nothing)" : differing;
}
}  // namespace detail

/// Writes all of @p state to @p path, atomically: a crash leaves the old file or the new one.
/// @throws file_error where the file cannot be written, checkpoint_error where two members have one name.
template <class State>
void save_checkpoint(const std::filesystem::path& path, State& state, const std::string& composition = "") {
  detail::require_serializable<State>();
  if constexpr (serializable<State>) {
    detail::checkpoint_writer writer;
    state.serialize(static_cast<detail::any_archive&>(writer));
    const std::string header = writer.header(composition);
    detail::write_atomically(path, {header, writer.payload()});
  }
}

inline void checkpoint_file::require(const std::string& composition) const {
  if (composition_ != composition)
    raise<checkpoint_error>("limbeck: checkpoint '" + name_ + "' is of another composition: it is of" +
                            detail::lines_without(composition_, composition) + "\nand not of" +
                            detail::lines_without(composition, composition_));
}

/// Reads all of @p state from @p path; where anything is wrong, the state is as it was.
/// @throws file_error where the file cannot be read, checkpoint_error where it is truncated, corrupted, of another
/// version, of another
/// @p composition, or has not the names, types and lengths of this state; and what a `serialize` throws.
template <class State>
void load_checkpoint(const std::filesystem::path& path, State& state, const std::string& composition = "") {
  detail::require_serializable<State>();
  const checkpoint_file file(path);
  file.require(composition);
  if constexpr (serializable<State>) file.load(state);
}

LIMBECK_END_NAMESPACE

#endif
