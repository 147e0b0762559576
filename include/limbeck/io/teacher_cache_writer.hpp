#ifndef LIMBECK_IO_TEACHER_CACHE_WRITER_HPP
#define LIMBECK_IO_TEACHER_CACHE_WRITER_HPP

/// @file
/// Fills a teacher cache.

#include <limbeck/io/teacher_cache_block.hpp>
#include <limbeck/target/sparse.hpp>

#include <sys/file.h>

#include <cerrno>
#include <cstring>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

/// How a cache is written; no part of what it holds.
struct cache_writing {
  std::size_t block_bytes = std::size_t{1}
                            << 20U;  ///< a block is written when it has as many; one append is in one block
  bool sync = false;  ///< whether each block reaches the disk before the next begins: for power cuts, not for crashes
  std::uint64_t seed = 0;  ///< of what `sampled` draws: sample i draws from `random_stream(seed).split(i)`
};

/// Appends a teacher's rows to a cache, which it makes where there is none.
///
/// `teacher_cache_writer cache("letter.cache", {.classes = 26, .kind = cache_kind::top_k, .k = 4, .teacher =
/// "sha256:..."});` `cache.append(ids, logits);` as often as you like, and `cache.close()`. A file that is there is
/// continued, if its metadata agree; a torn tail of an earlier crash is cut off. While it writes, no other writer can
/// open the file; readers can, and see the blocks that are whole. Rows reach the file block by block. In a child of
/// fork a writer that was open before refuses rows, and leaves file and lock to its parent.
class teacher_cache_writer {
 public:
  /// @throws value_error where the metadata do not go together; file_error where the file cannot be written, is locked
  /// by
  ///         another writer, is no cache or a damaged one, or holds something else: the file is as it was.
  teacher_cache_writer(std::filesystem::path path, cache_metadata metadata, cache_writing how = {})
      : path_(std::move(path)), metadata_(std::move(metadata)), how_(how), new_(metadata_) {
    metadata_.check();
    const std::string head = detail::cache_head(metadata_);
    handle_ = detail::uninterrupted([&] { return ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666); });
    if (handle_ < 0) detail::throw_file("write", path_, errno);
    detail::or_undo(
        [&] {
          if (::flock(handle_, LOCK_EX | LOCK_NB) != 0) {
            if (errno != EWOULDBLOCK) detail::throw_file("lock", path_, errno);
            detail::throw_file_error(path_, "is being written by another program");
          }
          begin(head);
        },
        [&] { (void)give_back(); });
  }
  teacher_cache_writer(const teacher_cache_writer&) = delete;
  teacher_cache_writer& operator=(const teacher_cache_writer&) = delete;
  /// Writes what is pending, if that is possible; `close` says whether it was.
  ~teacher_cache_writer() {
    // In a child of fork `close` refuses, and its copy of the handle goes, which leaves the parent's lock.
    detail::or_else([&] { close(); }, [&] { (void)give_back(); });
  }

  /// Adds rows: row r of @p logits, a tensor of the teacher's logits in any backend of the host, belongs to the sample
  /// @p ids[r], a whole number that is not negative. Logits are kept as the metadata say. Of an id that comes again the
  /// last row counts. O(samples x classes).
  /// @throws shape_error, value_error for a row without softmax or a value that the type of the values cannot hold:
  /// nothing
  ///         of this call is added. @throws value_error where the writer is closed, or of the process that forked this
  ///         one. @throws file_error where a block cannot be written.
  template <class Ids, tensor X>
  void append(const Ids& ids, const X& logits) {
    using T = typename tensor_traits<X>::scalar;
    static_assert(std::is_same_v<typename tensor_traits<X>::sweep, host_rows>,
                  "limbeck: a cache is written from the host's memory; copy the tensor to the host");
    const rows<const T> x = tensor_traits<X>::view(logits);
    if (x.classes != metadata_.classes)
      detail::throw_shape("logits", x.samples, x.classes, x.samples, metadata_.classes);
    append_rows(ids, x.samples, [&](const any_vector& y) {
      if (metadata_.kind == cache_kind::logits) return new_.add_dense(x);
      std::vector<T> row(x.classes);
      const rows<const T> one(row.data(), 1, x.classes);
      for (std::size_t r = 0; r < x.samples; ++r) {
        detail::copy_row(x, r, row.data());
        detail::require_softmax(row, r);
        const auto kept = metadata_.kind == cache_kind::top_k
                              ? keep_top(one, metadata_.k, metadata_.temperature)
                              : draw_sparse(one, metadata_.draws, random_stream(how_.seed).split(new_id(y, r)),
                                            metadata_.power, metadata_.temperature);
        new_.add_sparse(kept.view());
      }
    });
  }
  /// The same for a tensor whose type is known at run time.
  template <class Ids, run_time_tensor X>
  void append(const Ids& ids, const X& logits) {
    const any_tensor x = any_tensor_traits<X>::view(logits);
    if (x.type == element_type::float64) return append(ids, x.template rows<const double>("logits"));
    append(ids, x.template rows<const float>("logits"));
  }
  /// Adds rows that are sparse already, of `keep_top` or `draw_sparse`, at the temperature that the metadata state.
  /// @throws value_error where they were made otherwise or are no probabilities; and as for logits.
  template <class Ids, class T>
  void append(const Ids& ids, const sparse_store<T>& rows_of_teacher) {
    const sparse_rows<T> x = rows_of_teacher.view();
    detail::check_sparse(x);
    if (metadata_.kind == cache_kind::logits)
      raise<value_error>("limbeck: this teacher cache holds logits, and the rows to be added are sparse");
    if (x.classes != metadata_.classes)
      detail::throw_shape("rows", x.samples(), x.classes, x.samples(), metadata_.classes);
    const bool draws = metadata_.kind == cache_kind::sampled;
    if (x.log_tails.empty() != draws || x.sampled != draws)
      raise<value_error>(
          "limbeck: a teacher cache of the top k takes rows of keep_top, each with the log of its tail, one of samples "
          "those of draw_sparse, which have none");
    if (x.temperature != metadata_.temperature)
      raise<value_error>("limbeck: the sparse rows were made at T = " + detail::show(x.temperature) +
                         ", and this teacher cache holds rows at T = " + detail::show(metadata_.temperature));
    append_rows(ids, x.samples(), [&](const any_vector&) { new_.add_sparse(x); });
  }

  /// Writes what is pending as a block. @throws file_error where it cannot: the file is as it was, and the rows stay
  /// pending. @throws file_error where the disk does not confirm a block (`cache_writing::sync`): this writer is
  /// closed, for the system may forget such a block, and the next one decides by its checksum. @throws value_error as
  /// `append`.
  void flush() {
    require_own();
    if (new_.rows() == 0) return;
    write(new_.block(rows_));
    rows_ += new_.rows();
    new_.clear();
  }
  /// Writes what is pending and gives the file back; further rows are refused. @throws file_error as `flush` does, and
  /// what the system says last: a disk over a network may tell only now that it is full.
  void close() {
    if (handle_ < 0) return;
    flush();
    if (const int reason = give_back()) detail::throw_file("write", path_, reason);
  }
  /// Rows of the file and rows pending.
  std::uint64_t rows_written() const { return rows_ + new_.rows(); }

 private:
  static std::uint64_t new_id(const any_vector& ids, std::size_t r) {
    const std::int64_t id = ids.integer(r);
    if (id < 0)
      raise<value_error>("limbeck: sample id " + std::to_string(id) + " of row " + std::to_string(r) +
                         ", expected 0 or more");
    return static_cast<std::uint64_t>(id);
  }

  /// The writer is open, and of this process: a child of fork has the same place in the same file.
  void require_own() const {
    if (process_ != ::getpid())
      raise<value_error>("limbeck: the writer of '" + path_.string() + "' belongs to process " +
                         std::to_string(process_) + ", of which this one is a child; one process writes a cache");
    if (handle_ < 0) raise<value_error>("limbeck: this teacher cache writer is closed");
  }
  int give_back() { return handle_ < 0 ? 0 : detail::close_handle(std::exchange(handle_, -1)); }

  template <class Ids, class Add>
  void append_rows(const Ids& ids, std::size_t count, Add add) {
    const any_vector y = detail::sample_ids(ids);
    require_own();
    if (y.size() != count) detail::throw_length("ids", y.size(), count);
    const auto had = new_.sizes();
    detail::or_undo(
        [&] {
          for (std::size_t r = 0; r < count; ++r) new_.add_id(new_id(y, r));
          add(y);
        },
        [&] { new_.cut(had); });
    if (new_.bytes() >= how_.block_bytes) flush();
  }

  /// A new file, or the end of one that is there.
  void begin(const std::string& head) {
    const mapped_file file(path_);
    const auto bytes = file.bytes();
    if (bytes.size() < head.size() &&
        detail::text_at(bytes, 0, bytes.size()) == std::string_view(head).substr(0, bytes.size())) {
      write(head);  // nothing, or what a crash left of a file's first moment
    } else {
      const detail::cache_contents found = detail::scan_cache(file);
      require_same(found.metadata);
      end_ = found.end;
      rows_ = found.rows();
      if (bytes.size() > end_ && !cut()) detail::throw_file("write", path_, errno);
      if (how_.sync)
        confirm(bytes, found.blocks.empty() ? 0 : found.blocks.back().payload - detail::cache_header_bytes);
    }
    if (!how_.sync) return;
    if (const int reason = detail::sync_folder_of(path_))
      detail::throw_file("bring to the disk the name of", path_, reason);
  }
  /// What an earlier writer left reaches the disk before anything follows it. What it wrote last is written again, as
  /// it is: had the disk refused it, the system would take it for written all the same.
  void confirm(std::span<const std::byte> bytes, std::size_t last) {
    int reason = detail::write_at(handle_, detail::text_at(bytes, last, end_ - last), last);
    if (reason == 0) reason = detail::sync_handle(handle_);
    if (reason != 0) detail::throw_file("write", path_, reason);
  }
  bool cut() {
    return detail::uninterrupted([&] { return ::ftruncate(handle_, static_cast<::off_t>(end_)); }) == 0;
  }
  void require_same(const cache_metadata& there) const {
    if (const std::string what = detail::difference(there, metadata_); !what.empty())
      detail::throw_file_error(path_, "holds a teacher cache " + what);
  }
  /// At the end of the file, all or nothing.
  void write(const std::string& bytes) {
    if (const int reason = detail::write_at(handle_, bytes, end_)) {
      (void)cut();  // no reader has a block that is not whole
      detail::throw_file("write", path_, reason);
    }
    if (const int reason = how_.sync ? detail::sync_handle(handle_) : 0) {
      (void)give_back();  // a reader may have this one, so it stays
      raise<file_error>("limbeck: the disk did not confirm the last block of '" + path_.string() +
                        "': " + std::strerror(reason) + "; this writer is closed, open another one to go on");
    }
    end_ += bytes.size();
  }

  std::filesystem::path path_;
  cache_metadata metadata_;
  cache_writing how_;
  int handle_ = -1;
  ::pid_t process_ = ::getpid();
  std::size_t end_ = 0;
  std::uint64_t rows_ = 0;
  detail::cache_block_builder new_;
};

LIMBECK_END_NAMESPACE

#endif
