# libzip as LibZip::LibZip. (The package's own CMake file wants its command-line tools installed.)
find_path(LibZip_INCLUDE_DIR zip.h)
find_library(LibZip_LIBRARY zip)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibZip REQUIRED_VARS LibZip_LIBRARY LibZip_INCLUDE_DIR)
mark_as_advanced(LibZip_INCLUDE_DIR LibZip_LIBRARY)

# A static libzip does not say what it needs; its pkg-config file does. A shared one brings it along.
set(LibZip_DEPENDENCIES "")
if(LibZip_LIBRARY MATCHES "\\.a$")
  find_package(PkgConfig QUIET)
  if(PkgConfig_FOUND)
    pkg_check_modules(PC_LibZip QUIET libzip)
    set(LibZip_DEPENDENCIES ${PC_LibZip_STATIC_LDFLAGS})
    list(REMOVE_ITEM LibZip_DEPENDENCIES -lzip)
  endif()
endif()

if(LibZip_FOUND AND NOT TARGET LibZip::LibZip)
  add_library(LibZip::LibZip UNKNOWN IMPORTED)
  set_target_properties(
    LibZip::LibZip PROPERTIES IMPORTED_LOCATION "${LibZip_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${LibZip_INCLUDE_DIR}" INTERFACE_LINK_LIBRARIES
                                                                                                                    "${LibZip_DEPENDENCIES}")
endif()
