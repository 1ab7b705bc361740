package triton.flink;

/** A failure of the native library, in its own words. */
public class TritonException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public TritonException(String message) {
        super(message);
    }

    TritonException(String message, Throwable cause) {
        super(message, cause);
    }
}
