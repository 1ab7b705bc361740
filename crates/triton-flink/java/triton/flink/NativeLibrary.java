package triton.flink;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;

/**
 * The native methods, and the library they are in.
 *
 * <p>A JVM lets only one class loader have a library file. So each loader of this class unpacks a
 * copy of its own, and any number of jobs can bring this jar along.
 */
final class NativeLibrary {
    private static boolean loaded;

    private NativeLibrary() {}

    /** Loads the library unless this class loader has it already. */
    static synchronized void load() {
        if (loaded) {
            return;
        }
        String resource = "native/" + platform() + "/libtriton_flink.so";
        try (InputStream library = NativeLibrary.class.getResourceAsStream(resource)) {
            if (library == null) {
                throw new TritonException(
                        "this jar has no native library for " + platform()
                                + ": build it on such a machine with `cargo xtask flink build`");
            }
            Path copy = unpack(library);
            try {
                System.load(copy.toString());
            } finally {
                // What is loaded stays, and nothing is left behind when this process is killed.
                Files.delete(copy);
            }
        } catch (IOException error) {
            throw new TritonException("cannot unpack the native library: " + error);
        } catch (UnsatisfiedLinkError error) {
            throw new TritonException("cannot load the native library: " + error.getMessage());
        }
        start();
        loaded = true;
    }

    /** A new file that no other user can write to, whatever the umask, and under a name that none can take. */
    private static Path unpack(InputStream library) throws IOException {
        Path copy = Files.createTempFile("libtriton_flink", ".so");
        // Into the file itself: to replace it would make another one, with the umask's modes.
        try (OutputStream file = Files.newOutputStream(copy)) {
            library.transferTo(file);
            return copy;
        } catch (IOException error) {
            Files.delete(copy);
            throw error;
        }
    }

    private static String platform() {
        String system = System.getProperty("os.name").toLowerCase(Locale.ROOT);
        String machine = System.getProperty("os.arch");
        return system + "-" + (machine.equals("amd64") ? "x86_64" : machine);
    }

    private static native void start();

    static native void setLogLevel(int level);

    static native byte[] takeLog();

    static native void check(byte[] description);

    static native long create(byte[] description, byte[] task);

    static native byte[] sharedIds(long function);

    static native void open(long function);

    static native boolean gathers(long function);

    /** Whether errors keep the values of rows, or their keys, to themselves. */
    static native boolean hidesValues(long function);

    static native void predict(long function, long first, int count, byte[] rows, int length);

    static native void wake(long function);

    static native void cancel(long function, long row);

    static native byte[] nextEvents(long function);

    static native void close(long function);

    static native byte[] metrics();

    static native double metric(long function, int index);

    static native double[] latest(long function, int index);

    static native byte[] replicaMetrics();

    static native byte[] replicas(long function);

    static native double replicaMetric(byte[] model, byte[] replica, int index);

    static native double[] replicaLatest(byte[] model, byte[] replica, int index);
}
