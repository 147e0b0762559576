set(VCPKG_BUILD_TYPE release) # header-only

# An overlay port takes the sources of the checkout that it lies in. In a registry vcpkg_from_github() stands here.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

vcpkg_check_features(OUT_FEATURE_OPTIONS FEATURE_OPTIONS
    FEATURES
        dlpack     LIMBECK_WITH_DLPACK
        eigen      LIMBECK_WITH_EIGEN
        io         LIMBECK_WITH_IO
        mpi        LIMBECK_WITH_MPI
        openmp     LIMBECK_WITH_OPENMP
        thrust     LIMBECK_WITH_THRUST
        torch      LIMBECK_WITH_TORCH
        trainer    LIMBECK_WITH_TRAINER
        xtensor    LIMBECK_WITH_XTENSOR
)

vcpkg_cmake_configure(
    SOURCE_PATH "${SOURCE_PATH}"
    OPTIONS
        ${FEATURE_OPTIONS}
        -DLIMBECK_BUILD_EXAMPLES=OFF
        -DLIMBECK_BUILD_TESTS=OFF
        -DLIMBECK_INSTALL=ON
        -DLIMBECK_WITH_CUDA=OFF
)

vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH share/cmake/limbeck)
vcpkg_fixup_pkgconfig()

vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
