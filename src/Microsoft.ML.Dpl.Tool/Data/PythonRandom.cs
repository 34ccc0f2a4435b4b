using System.Numerics;

namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>
/// The numbers of Python's <c>random</c> module after <c>random.seed(seed)</c>: the Mersenne Twister MT19937 (Matsumoto, Nishimura, ACM
/// TOMACS 8, 1998), seeded by an array. It reproduces random draws that were made in Python.
/// </summary>
internal sealed class PythonRandom
{
    private const int Words = 624,
        Shift = 397;
    private const uint Upper = 0x80000000,
        Lower = 0x7fffffff,
        Twist = 0x9908b0df;

    private readonly uint[] _state = new uint[Words];
    private int _next = Words;

    /// <param name="seed">The seed; as in Python, a negative seed is equivalent to its absolute value.</param>
    public PythonRandom(int seed)
    {
        uint key = (uint)Math.Abs((long)seed);
        _state[0] = 19650218;
        for (int i = 1; i < Words; i++)
            _state[i] = 1812433253 * Mixed(i) + (uint)i;
        int at = 1;
        // The key has one word, whose index is always 0.
        for (int k = 0; k < Words; k++)
            Stir(1664525, key);
        for (int k = 1; k < Words; k++)
            Stir(1566083941, unchecked((uint)-at));
        _state[0] = Upper;

        void Stir(uint factor, uint added)
        {
            _state[at] = (_state[at] ^ (Mixed(at) * factor)) + added;
            if (++at < Words)
                return;
            _state[0] = _state[Words - 1];
            at = 1;
        }
    }

    /// <summary>Returns what <c>random.sample(range(count), taken)</c> returns.</summary>
    /// <param name="count">Size of the range, at least <paramref name="taken"/>.</param>
    /// <param name="taken">Number of draws, at least 0.</param>
    /// <returns>Distinct numbers from 0 to below <paramref name="count"/>, in the order in which they were drawn.</returns>
    public int[] Sample(int count, int taken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(taken);
        ArgumentOutOfRangeException.ThrowIfLessThan(count, taken);
        // CPython's threshold above which it assumes a set of the drawn numbers to be smaller than a list of the remaining ones.
        double listed = 21 + (taken > 5 ? Math.Pow(4, Math.Ceiling(Math.Log(taken * 3.0, 4))) : 0);
        return count <= listed ? FromPool(count, taken) : FromSet(count, taken);
    }

    private int[] FromPool(int count, int taken)
    {
        int[] pool = [.. Enumerable.Range(0, count)],
            drawn = new int[taken];
        for (int i = 0; i < taken; i++)
        {
            int at = Below(count - i);
            drawn[i] = pool[at];
            pool[at] = pool[count - i - 1];
        }
        return drawn;
    }

    private int[] FromSet(int count, int taken)
    {
        var seen = new HashSet<int>();
        int[] drawn = new int[taken];
        for (int i = 0; i < taken; i++)
        {
            int number;
            do number = Below(count);
            while (!seen.Add(number));
            drawn[i] = number;
        }
        return drawn;
    }

    /// <summary>A number from 0 to below <paramref name="count"/>, by rejection sampling of as many bits as <paramref name="count"/>
    /// has.</summary>
    private int Below(int count)
    {
        int bits = BitOperations.Log2((uint)count) + 1;
        uint number;
        do number = Next() >> (32 - bits);
        while (number >= count);
        return (int)number;
    }

    private uint Next()
    {
        if (_next == Words)
            Generate();
        uint word = _state[_next++];
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c5680;
        word ^= (word << 15) & 0xefc60000;
        return word ^ (word >> 18);
    }

    private void Generate()
    {
        for (int i = 0; i < Words; i++)
        {
            uint joined = (_state[i] & Upper) | (_state[(i + 1) % Words] & Lower);
            _state[i] = _state[(i + Shift) % Words] ^ (joined >> 1) ^ ((joined & 1) == 0 ? 0 : Twist);
        }
        _next = 0;
    }

    private uint Mixed(int at) => _state[at - 1] ^ (_state[at - 1] >> 30);
}
