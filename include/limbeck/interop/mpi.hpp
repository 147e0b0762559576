#ifndef LIMBECK_INTEROP_MPI_HPP
#define LIMBECK_INTEROP_MPI_HPP

/// @file
/// The ranks of an MPI program. The one header that knows MPI.

#include <limbeck/ranks/reductions.hpp>

// MPI's own C++ classes left the standard with MPI 3, and would want another library.
/// @cond
#if !defined(OMPI_SKIP_MPICXX)
#define OMPI_SKIP_MPICXX 1
#endif
#if !defined(MPICH_SKIP_MPICXX)
#define MPICH_SKIP_MPICXX 1
#endif
/// @endcond
#include <mpi.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// One element of MPI's that is @p bytes long: counts of MPI are ints, and messages are not. Freed when it goes.
class mpi_bytes {
 public:
  explicit mpi_bytes(std::size_t bytes, std::size_t at_most = INT_MAX) {
    if (bytes <= at_most) {
      count_ = static_cast<int>(bytes);
      return;
    }
    const std::size_t many = bytes / at_most, rest = bytes % at_most;
    MPI_Datatype long_one = MPI_DATATYPE_NULL;
    MPI_Type_contiguous(static_cast<int>(at_most), MPI_BYTE, &long_one);
    const int lengths[] = {static_cast<int>(many), static_cast<int>(rest)};
    const MPI_Aint places[] = {0, static_cast<MPI_Aint>(many * at_most)};
    const MPI_Datatype types[] = {long_one, MPI_BYTE};
    MPI_Type_create_struct(2, lengths, places, types, &type_);
    MPI_Type_commit(&type_);
    MPI_Type_free(&long_one);
    made_ = true;
  }
  mpi_bytes(const mpi_bytes&) = delete;
  mpi_bytes& operator=(const mpi_bytes&) = delete;
  ~mpi_bytes() {
    if (made_) MPI_Type_free(&type_);
  }
  int count() const { return count_; }
  MPI_Datatype type() const { return type_; }

 private:
  MPI_Datatype type_ = MPI_BYTE;
  int count_ = 1;
  bool made_ = false;
};

}  // namespace detail

/// The ranks of an MPI communicator. Messages of Limbeck's never meet those of the program, since it talks over a duplicate:
/// all ranks make it together, after MPI_Init and before MPI_Finalize, where it has to be gone. Messages may be longer than 2 GiB.
/// One thread at a time calls it: MPI_THREAD_SERIALIZED, or MPI_THREAD_FUNNELED where that is always the main one.
/// @throws std::runtime_error with MPI's own words where a call of MPI's fails.
class mpi {
 public:
  /// Over the ranks of @p of: all, or those of a part that MPI_Comm_split has made.
  /// @throws std::runtime_error before MPI_Init and after MPI_Finalize; value_error where @p of is MPI_COMM_NULL, which is what a split
  /// leaves to ranks of no part, or joins two groups (an intercommunicator).
  explicit mpi(MPI_Comm of = MPI_COMM_WORLD) {
    int begun = 0, over = 0;
    MPI_Initialized(&begun);
    MPI_Finalized(&over);
    if (!begun || over)
      raise<std::runtime_error>(std::string("limbeck: mpi is made ") + (over ? "after MPI_Finalize" : "before MPI_Init, see mpi_main"));
    if (of == MPI_COMM_NULL) raise<value_error>("limbeck: mpi is made over MPI_COMM_NULL: this rank belongs to no part of a split");
    int between_groups = 0;
    MPI_Comm_test_inter(of, &between_groups);
    if (between_groups) raise<value_error>("limbeck: mpi is made over an intercommunicator; MPI_Intercomm_merge makes one group of two");
    check(MPI_Comm_dup(of, &comm_), "MPI_Comm_dup");
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
  }
  mpi(const mpi&) = delete;
  mpi& operator=(const mpi&) = delete;
  ~mpi() {
    int over = 0;
    MPI_Finalized(&over);
    // all ranks free it together, and where this one is giving up the others may not come
    if (!over && std::uncaught_exceptions() == thrown_) MPI_Comm_free(&comm_);
  }

  /// Which one this is.
  int rank() const { return rank_; }
  /// How many there are.
  int size() const { return size_; }
  /// MPI_Allgather.
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) const {
    const detail::mpi_bytes of(mine.size());
    check(MPI_Allgather(mine.data(), of.count(), of.type(), all.data(), of.count(), of.type(), comm_), "MPI_Allgather");
  }
  /// MPI_Alltoall.
  void all_to_all(std::span<const std::byte> mine, std::span<std::byte> all) const {
    const detail::mpi_bytes of(mine.size() / static_cast<std::size_t>(size_));
    check(MPI_Alltoall(mine.data(), of.count(), of.type(), all.data(), of.count(), of.type(), comm_), "MPI_Alltoall");
  }
  /// MPI_Bcast.
  void broadcast(std::span<std::byte> bytes, int root) const {
    const detail::mpi_bytes of(bytes.size());
    check(MPI_Bcast(bytes.data(), of.count(), of.type(), root, comm_), "MPI_Bcast");
  }
  /// The duplicate, for calls of your own, which return MPI's error codes instead of ending the program.
  MPI_Comm handle() const { return comm_; }

 private:
  static void check(int code, const char* call) {
    if (code == MPI_SUCCESS) return;
    char words[MPI_MAX_ERROR_STRING];
    int length = 0;
    MPI_Error_string(code, words, &length);
    raise<std::runtime_error>(std::string("limbeck: ") + call + ": " + std::string(words, static_cast<std::size_t>(length)));
  }
  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
  int thrown_ = std::uncaught_exceptions();
};

/// The body of a main function over ranks: begins MPI (asking for MPI_THREAD_SERIALIZED), returns what `f(world)` does, and ends MPI.
/// An exception that nobody catches ends *all* ranks, at once and with its message: the others may be waiting for this one.
///
///     int main(int argc, char** argv) {
///       return lk::mpi_main(argc, argv, [](const lk::mpi& world) { ...; return 0; });
///     }
template <class F>
int mpi_main(int& argc, char**& argv, F f) {
  int level = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &level);
  int result = EXIT_FAILURE;
  {
    const mpi world;
    const auto give_up = [&](const char* what) {
      std::fflush(stdout);
      std::fprintf(stderr, "rank %d of %d ends all: %s\n", world.rank(), world.size(), what);
      std::fflush(stderr);
      MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
    };
    detail::or_else([&] { detail::attempt<std::exception>([&] { result = f(world); }, [&](const std::exception& e) { give_up(e.what()); }); },
                    [&] { give_up("something that is no std::exception was thrown"); });
  }
  MPI_Finalize();
  return result;
}

LIMBECK_END_NAMESPACE

#endif
