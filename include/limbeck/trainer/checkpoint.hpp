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

#include <algorithm>
#include <map>
#include <set>

LIMBECK_BEGIN_NAMESPACE

namespace detail {
template <bool>
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
  /// What it holds: names, types and lengths.
  const std::map<std::string, detail::checkpoint_entry>& entries() const { return entries_; }
  /// Writes every number of @p state, all or none.
  /// @throws checkpoint_error where names, types or lengths differ; and what a `serialize` throws.
  template <serializable State>
  void load(State& state) const;

 private:
  checkpoint_file(std::string name, std::string bytes) : name_(std::move(name)), bytes_(std::move(bytes)) { parse(); }
  template <bool>
  friend class detail::checkpoint_reader;
  [[noreturn]] void fail(const std::string& what) const {
    throw checkpoint_error("limbeck: checkpoint '" + name_ + "' " + what);
  }
  void parse();

  std::string name_, bytes_, composition_;
  std::size_t payload_ = 0;
  std::map<std::string, detail::checkpoint_entry> entries_;
};

inline void checkpoint_file::parse() {
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < 8 && i < bytes_.size(); ++i)
    length |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes_[i])) << (8 * i);
  if (bytes_.size() < 9 || length > bytes_.size() - 8)
    fail("is truncated, or no checkpoint: it has " + std::to_string(bytes_.size()) + " bytes, less than its header");
  const std::string_view text = std::string_view(bytes_).substr(8, static_cast<std::size_t>(length));
  payload_ = 8 + text.size();
  std::string stored;
  std::size_t end = 0;
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    const nlohmann::json& about = json.at("__metadata__");
    if (about.at("format") != detail::checkpoint_format) fail("is no checkpoint of limbeck");
    const auto version = about.at("version").get<std::string>();
    if (version != detail::checkpoint_version)
      fail("has version " + version + ", this library reads version " + detail::checkpoint_version);
    if (about.at("byte_order") != "little") fail("is not little-endian");
    composition_ = about.at("composition").get<std::string>();
    stored = about.at("checksum").get<std::string>();
    for (const auto& [name, entry] : json.items()) {
      if (name == "__metadata__") continue;
      const auto& shape = entry.at("shape");
      const auto& offsets = entry.at("data_offsets");
      const bool list = !shape.empty();
      entries_[name] = {entry.at("dtype").get<std::string>(), list, list ? shape.at(0).get<std::size_t>() : 1,
                        offsets.at(0).get<std::size_t>(), offsets.at(1).get<std::size_t>()};
      end = (std::max)(end, entries_[name].last);
    }
  } catch (const nlohmann::json::exception&) {
    fail("is corrupted, or no checkpoint: its header cannot be read");
  }
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
template <bool Copy>
class checkpoint_reader : public walk<checkpoint_reader<Copy>> {
 public:
  explicit checkpoint_reader(const checkpoint_file& file) : file_(file) {}
  template <class T>
  void number(const std::string& name, T& value) {
    const auto& entry = find(name, dtype_of<T>(), false, sizeof(T));
    copy(entry, &value);
  }
  template <class L>
  void list(const std::string& name, L& values) {
    using T = typename L::value_type;
    const auto& entry = find(name, dtype_of<T>(), true, sizeof(T));
    if constexpr (Copy) values.resize(entry.count);
    copy(entry, values.data());
  }
  template <class T, std::size_t N>
  void fixed(const std::string& name, std::span<T, N> values) {
    static_assert(!std::is_const_v<T>,
                  "limbeck: this span is of constant numbers, a checkpoint cannot be loaded into it");
    const auto& entry = find(name, dtype_of<std::remove_const_t<T>>(), true, sizeof(T));
    if (entry.count != values.size())
      file_.fail("has " + std::to_string(entry.count) + " numbers in '" + name + "', expected " +
                 std::to_string(values.size()));
    copy(entry, values.data());
  }
  /// Names in the file that the state has not asked for.
  void require_all() const {
    for (const auto& [name, entry] : file_.entries_)
      if (!seen_.contains(name)) file_.fail("has '" + name + "', which this state does not have");
  }

 private:
  const checkpoint_entry& find(const std::string& name, std::string_view dtype, bool list, std::size_t size) {
    const auto found = file_.entries_.find(name);
    if (found == file_.entries_.end()) file_.fail("has no '" + name + "'");
    const auto& entry = found->second;
    if (entry.dtype != dtype || entry.list != list)
      file_.fail("has " + kind(entry.dtype, entry.list) + " in '" + name + "', expected " + kind(dtype, list));
    if (entry.last < entry.first || entry.last - entry.first != entry.count * size)
      file_.fail("is corrupted: '" + name + "' has not the size that its header says");
    if (!seen_.insert(name).second)
      throw checkpoint_error("limbeck: two members of this state are named '" + name + "'");
    return entry;
  }
  static std::string kind(std::string_view dtype, bool list) {
    return (list ? "a list of " : "one ") + std::string(dtype);
  }
  void copy(const checkpoint_entry& entry, void* to) const {
    if constexpr (Copy)
      if (entry.count) std::memcpy(to, file_.bytes_.data() + file_.payload_ + entry.first, entry.last - entry.first);
  }
  const checkpoint_file& file_;
  std::set<std::string> seen_;
};

}  // namespace detail

template <serializable State>
void checkpoint_file::load(State& state) const {
  detail::checkpoint_reader<false> compare(*this);
  state.serialize(compare);
  compare.require_all();
  detail::checkpoint_writer writer;
  state.serialize(writer);
  const checkpoint_file before("of the state as it was", writer.header("") + writer.payload());
  try {
    detail::checkpoint_reader<true> copy(*this);
    state.serialize(copy);
  } catch (...) {  // a serialize that looks at what it has been given
    detail::checkpoint_reader<true> back(before);
    state.serialize(back);
    throw;
  }
}

/// Writes all of @p state to @p path, atomically: a crash leaves the old file or the new one.
/// @throws file_error where the file cannot be written, checkpoint_error where two members have one name.
template <class State>
void save_checkpoint(const std::filesystem::path& path, State& state, const std::string& composition = "") {
  detail::require_serializable<State>();
  if constexpr (serializable<State>) {
    detail::checkpoint_writer writer;
    state.serialize(writer);
    const std::string header = writer.header(composition);
    detail::write_atomically(path, {header, writer.payload()});
  }
}

/// Reads all of @p state from @p path; where anything is wrong, the state is as it was.
/// @throws file_error where the file cannot be read, checkpoint_error where it is truncated, corrupted, of another version, of another
/// @p composition, or has not the names, types and lengths of this state; and what a `serialize` throws.
template <class State>
void load_checkpoint(const std::filesystem::path& path, State& state, const std::string& composition = "") {
  detail::require_serializable<State>();
  const checkpoint_file file(path);
  if (file.composition() != composition)
    throw checkpoint_error("limbeck: checkpoint '" + path.string() + "' is of another composition: it is of\n" +
                           file.composition() + "\nand not of\n" + composition);
  if constexpr (serializable<State>) file.load(state);
}

LIMBECK_END_NAMESPACE

#endif
