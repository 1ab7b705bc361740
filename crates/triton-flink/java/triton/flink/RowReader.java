package triton.flink;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.apache.flink.table.data.GenericArrayData;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.types.logical.ArrayType;
import org.apache.flink.table.types.logical.LogicalType;

/** Reads what comes from Rust; see {@code row_wire.rs} for the form of it. */
final class RowReader {
    private final ByteBuffer buffer;

    RowReader(byte[] bytes) {
        buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    boolean hasMore() {
        return buffer.hasRemaining();
    }

    GenericRowData readRow(LogicalType[] types) {
        GenericRowData row = new GenericRowData(types.length);
        for (int index = 0; index < types.length; index++) {
            row.setField(index, readNullable(types[index]));
        }
        return row;
    }

    byte readByte() {
        return buffer.get();
    }

    int readInt() {
        return buffer.getInt();
    }

    long readLong() {
        return buffer.getLong();
    }

    String readText() {
        return new String(readBytes(), StandardCharsets.UTF_8);
    }

    private byte[] readBytes() {
        byte[] bytes = new byte[buffer.getInt()];
        buffer.get(bytes);
        return bytes;
    }

    private Object readNullable(LogicalType type) {
        return buffer.get() == 0 ? null : read(type);
    }

    private Object read(LogicalType type) {
        switch (type.getTypeRoot()) {
            case BOOLEAN:
                return buffer.get() != 0;
            case TINYINT:
                return buffer.get();
            case SMALLINT:
                return buffer.getShort();
            case INTEGER:
                return buffer.getInt();
            case BIGINT:
                return buffer.getLong();
            case FLOAT:
                return buffer.getFloat();
            case DOUBLE:
                return buffer.getDouble();
            case CHAR:
            case VARCHAR:
                return StringData.fromBytes(readBytes());
            case BINARY:
            case VARBINARY:
                return readBytes();
            case ARRAY:
                return readArray(((ArrayType) type).getElementType());
            default:
                throw new IllegalStateException("planning should have refused " + type);
        }
    }

    private GenericArrayData readArray(LogicalType type) {
        int size = buffer.getInt();
        boolean anyNull = buffer.get() != 0;
        // Numbers without NULL take a way without an object for each of them.
        GenericArrayData numbers = anyNull ? null : readNumbers(type, size);
        if (numbers != null) {
            return numbers;
        }
        Object[] elements = new Object[size];
        for (int index = 0; index < size; index++) {
            elements[index] = anyNull ? readNullable(type) : read(type);
        }
        return new GenericArrayData(elements);
    }

    private GenericArrayData readNumbers(LogicalType type, int size) {
        switch (type.getTypeRoot()) {
            case SMALLINT:
                short[] shorts = new short[size];
                buffer.asShortBuffer().get(shorts);
                skip(2 * size);
                return new GenericArrayData(shorts);
            case INTEGER:
                int[] ints = new int[size];
                buffer.asIntBuffer().get(ints);
                skip(4 * size);
                return new GenericArrayData(ints);
            case BIGINT:
                long[] longs = new long[size];
                buffer.asLongBuffer().get(longs);
                skip(8 * size);
                return new GenericArrayData(longs);
            case FLOAT:
                float[] floats = new float[size];
                buffer.asFloatBuffer().get(floats);
                skip(4 * size);
                return new GenericArrayData(floats);
            case DOUBLE:
                double[] doubles = new double[size];
                buffer.asDoubleBuffer().get(doubles);
                skip(8 * size);
                return new GenericArrayData(doubles);
            default:
                return null;
        }
    }

    private void skip(int bytes) {
        buffer.position(buffer.position() + bytes);
    }
}
